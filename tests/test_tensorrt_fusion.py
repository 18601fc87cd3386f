"""What kernels are for, told from the builder's names of them."""

from __future__ import annotations

import pytest

from edgedepth.engines.tensorrt.fusion import kernels_by_role, role_of, steps_of, work_of
from edgedepth.engines.tensorrt.kernels import Kernel


def kernel(kind: str, name: str) -> Kernel:
    return Kernel(name=name, kind=kind, input_types=(), output_types=(), output_shapes=(), nodes=())


KERNELS = [
    (kernel("correlation", "node_Conv_765_myl0_1"), "convolution"),
    (kernel("runtime_fusion", "__myl_FcAddRelu_myl0_43"), "convolution"),
    (kernel("kgen", "__myl_CastTranGathMulAddCastConc_myl0_0"), "arithmetic"),
    (kernel("kgen", "__myl_ReshTranReshMoveConc_myl0_44"), "movement"),
    (kernel("kgen", "__myl_Cast_myl0_39"), "movement"),
    (kernel("kgen", "__myl_MoveResi_myl0_67"), "resampling"),
    (kernel("runtime_function", "__myl_Resi_myl0_65"), "resampling"),
    (kernel("avgpool", "node_avg_pool2d_myl0_68"), "resampling"),
]


@pytest.mark.parametrize(("entry", "role"), KERNELS)
def test_roles(entry: Kernel, role: str) -> None:
    assert role_of(entry) == role


def test_waiting_is_no_work() -> None:
    listed = [kernel("signal", "__mye8959_myl0_57"), KERNELS[3][0], kernel("wait", "__mye8961_myl0_58")]
    assert work_of(listed) == (KERNELS[3][0],)
    assert kernels_by_role(listed) == {"movement": 1}
    assert steps_of(KERNELS[3][0]) == ("Resh", "Tran", "Resh", "Move", "Conc")
    assert steps_of(KERNELS[0][0]) == ()
