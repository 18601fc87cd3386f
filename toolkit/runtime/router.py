"""Stage one: which depth range is this frame of?"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgedepth.core.bundle import Bundle
from edgedepth.core.errors import BackendError
from edgedepth.core.manifest import Network
from edgedepth.core.routing import CoarseRule, Decision, FixedRule, Hysteresis, RouteKeeper, SceneRule
from edgedepth.engines.session import Session
from edgedepth.runtime.network import FrameNetwork


class FrameRouter:
    """The router of a bundle: its rule and the network the rule reads."""

    def __init__(
        self, rule: SceneRule | CoarseRule | FixedRule, network: FrameNetwork | None, hysteresis: Hysteresis
    ) -> None:
        self.rule = rule
        self.hysteresis = hysteresis
        self._network = network

    @classmethod
    def of(cls, bundle: Bundle, open_network: Callable[[Network], Session]) -> FrameRouter:
        """Open the router of a bundle; `open_network` makes a session of one of a network's files."""
        router = bundle.manifest.router
        read = router.network
        network = None if read is None else FrameNetwork(open_network(read), read.input_wh, read.resize)
        return cls(router.rule, network, router.hysteresis)

    @property
    def session(self) -> Session | None:
        """The session of its network, None where the rule reads none."""
        return None if self._network is None else self._network.session

    def keeper(self) -> RouteKeeper:
        """A new hysteresis for one ordered stream."""
        return RouteKeeper(self.hysteresis)

    def decide(self, frame_bgr: NDArray[np.uint8]) -> Decision:
        """Decide the route of one (H, W, 3) uint8 BGR frame.

        Raises:
            BackendError: the network answers no numbers, as an engine does whose values overflow.
        """
        if isinstance(self.rule, FixedRule):
            return Decision.forced(self.rule.route)
        assert self._network is not None  # the manifest guarantees a network for these rules
        placement = self._network.load(frame_bgr)
        output = "probabilities" if isinstance(self.rule, SceneRule) else "depth_m"
        answer = self._network.run((output,))[output][0]
        if not np.isfinite(answer).all():
            session = self._network.session
            raise BackendError(
                f"the router answers NaN on {session.backend} in {session.precision}; run with --precision fp32"
            )
        if isinstance(self.rule, SceneRule):
            return self.rule.decide(answer)
        return self.rule.decide(answer[0][placement.content])

    def close(self) -> None:
        """Release the router's session."""
        if self._network is not None:
            self._network.close()

    def __enter__(self) -> FrameRouter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
