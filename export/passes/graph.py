"""An ONNX graph that can be asked and edited: who makes a tensor, who reads it, what is constant, what shape it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper, shape_inference

Array = NDArray[Any]
_SMALL = 64  # elements of a constant whose value may decide a shape


class Graph:
    """A model under edit.

    Nodes are added anywhere; `tidy` puts them in order, drops what nobody reads and infers shapes again. The model
    given to the constructor is not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self._index()
        self._drop_empty_inputs()
        self._inline_constants()
        self.tidy()

    # -- asking ------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes, in topological order since the last `tidy`."""
        return list(self.model.graph.node)

    def of_type(self, *op_types: str) -> list[NodeProto]:
        """The nodes of these operators, in order."""
        return [node for node in self.model.graph.node if node.op_type in op_types]

    def producer(self, tensor: str) -> NodeProto | None:
        """The node that makes a tensor; None for inputs and constants."""
        makers: list[NodeProto] = [node for node in self.model.graph.node if tensor in node.output]
        return makers[0] if makers else None

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that read a tensor."""
        return [node for node in self.model.graph.node if tensor in node.input]

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """The one node that reads a tensor; None where several do, or where it leaves the graph."""
        readers = self.consumers(tensor)
        return readers[0] if len(readers) == 1 and not self.is_output(tensor) else None

    def channel_parts(self, tensor: str) -> tuple[str, ...]:
        """What a tensor's channels are concatenated of, in order; the tensor itself where nothing is."""
        made = self.producer(tensor)
        joined = made is not None and made.op_type == "Concat" and attribute(made, "axis", 0) in (1, -3)
        return tuple(made.input) if made is not None and joined else (tensor,)

    def is_output(self, tensor: str) -> bool:
        """True for tensors that leave the graph."""
        return any(value.name == tensor for value in self.model.graph.output)

    def constant(self, tensor: str) -> Array | None:
        """The value of a constant tensor; None for computed ones."""
        stored = self._constants.get(tensor)
        return None if stored is None else numpy_helper.to_array(stored)

    def is_constant(self, tensor: str) -> bool:
        """True for tensors whose value is stored."""
        return tensor in self._constants

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """The static shape of a tensor; None where any dimension is unknown."""
        dims = self.dims(tensor)
        known = tuple(size for size in dims or () if size is not None)
        return known if dims is not None and len(known) == len(dims) else None

    def dims(self, tensor: str) -> tuple[int | None, ...] | None:
        """The dimensions of a tensor, None for each that is not fixed; None where not even their number is known."""
        if tensor in self._constants:
            return tuple(self._constants[tensor].dims)
        info = self._infos.get(tensor)
        if info is None or not info.type.tensor_type.HasField("shape"):
            return None
        return tuple(d.dim_value if d.HasField("dim_value") else None for d in info.type.tensor_type.shape.dim)

    def dtype(self, tensor: str) -> int:
        """The ONNX element type of a tensor; UNDEFINED where inference could not tell."""
        if tensor in self._constants:
            return int(self._constants[tensor].data_type)
        info = self._infos.get(tensor)
        return int(onnx.TensorProto.UNDEFINED if info is None else info.type.tensor_type.elem_type)

    # -- editing -----------------------------------------------------------------------------------------

    def fresh(self, base: str) -> str:
        """A tensor name that is not taken; it is from now on."""
        name, number = base, 0
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def add_constant(self, value: Array, base: str) -> str:
        """Store a constant and return its name."""
        name = self.fresh(base)
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        self._constants[name] = self.model.graph.initializer[-1]
        return name

    def add(self, op_type: str, inputs: Sequence[str], base: str, **attributes: Any) -> str:
        """Add a node of one output and return that output's name."""
        return self.add_many(op_type, inputs, base, 1, **attributes)[0]

    def add_many(
        self, op_type: str, inputs: Sequence[str], base: str, outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node of several outputs and return their names."""
        names = tuple(self.fresh(base) for _ in range(outputs))
        self.model.graph.node.append(helper.make_node(op_type, list(inputs), names, name=names[0], **attributes))
        return names

    def remove(self, nodes: Iterable[NodeProto]) -> None:
        """Remove nodes; what they read may become dead and goes with the next `tidy`."""
        for node in nodes:
            self.model.graph.node.remove(node)

    def redirect(self, old: str, new: str) -> None:
        """Let everybody who reads `old` read `new`; an output of the graph keeps its name, so `new` takes it over.

        The node that made `old` must have been removed.
        """
        if self.is_output(old):
            maker = self.producer(new)
            assert maker is not None
            maker.output[list(maker.output).index(new)] = old
            old, new = new, old
        for node in self.model.graph.node:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new

    def check(self) -> None:
        """Let ONNX judge the graph.

        Raises:
            onnx.checker.ValidationError: a node is not of its operator's form.
            onnx.shape_inference.InferenceError: types or shapes do not fit.
        """
        onnx.checker.check_model(_light(self.model), full_check=True)

    def tidy(self) -> None:
        """Drop dead nodes and constants, sort topologically and infer every shape anew."""
        graph = self.model.graph
        nodes = _live_in_order(graph)
        del graph.node[:]
        graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
        # Only what is dead is touched: what a message once held stays in its memory, and weights are large.
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name not in read:
                del graph.initializer[index]
        del graph.value_info[:]
        graph.value_info.extend(_inferred(self.model))
        self._index()

    def _index(self) -> None:
        """Look up constants, shapes and names once for all questions until the next `tidy`."""
        graph = self.model.graph
        self._constants = {entry.name: entry for entry in graph.initializer}
        self._infos = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self._taken.update(self._constants, self._infos)

    def _drop_empty_inputs(self) -> None:
        """An optional input that is named "" and followed by no other is one that is not given."""
        for node in self.model.graph.node:
            while node.input and not node.input[-1]:
                del node.input[-1]

    def _inline_constants(self) -> None:
        """Turn Constant nodes into initialisers, so that constants have one form."""
        for node in self.of_type("Constant"):
            attribute = node.attribute[0]
            value = helper.get_attribute_value(attribute)
            if attribute.name == "value":
                value = numpy_helper.to_array(value)
            elif attribute.name in ("value_float", "value_floats"):
                value = np.asarray(value, np.float32)
            elif attribute.name in ("value_int", "value_ints"):
                value = np.asarray(value, np.int64)
            else:
                continue
            self.model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            self.model.graph.node.remove(node)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node, or the default where it is not given; strings come back as str."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def attributes(node: NodeProto) -> dict[str, Any]:
    """All attributes of a node by name, as `attribute` gives them."""
    return {entry.name: attribute(node, entry.name, None) for entry in node.attribute}


def not_dense(conv: NodeProto) -> str | None:
    """Why a convolution does not read every channel at every position with adjacent taps; None if it does."""
    if attribute(conv, "group", 1) != 1:
        return "the convolution is grouped"
    if attribute(conv, "strides", [1, 1]) != [1, 1] or attribute(conv, "dilations", [1, 1]) != [1, 1]:
        return "the convolution is strided or dilated"
    return None


def _inferred(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Shapes and types of the tensors between nodes."""
    return list(shape_inference.infer_shapes(_light(model), data_prop=True).graph.value_info)


def _light(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with inputs in the place of its large constants, so that asking about it copies no weights."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for entry in model.graph.initializer:
        if math.prod(entry.dims) <= _SMALL:
            graph.initializer.append(entry)
        else:
            graph.input.append(helper.make_tensor_value_info(entry.name, entry.data_type, list(entry.dims)))
    return light


def _live_in_order(graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes that some output needs, each after those it reads; otherwise in the order given."""
    maker = {name: node for node in graph.node for name in node.output if name}
    order: list[NodeProto] = []
    done: set[int] = set()
    stack = [maker[value.name] for value in reversed(graph.output) if value.name in maker]
    while stack:
        node = stack[-1]
        waiting = [maker[n] for n in node.input if n in maker and id(maker[n]) not in done]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if id(node) not in done:
            done.add(id(node))
            order.append(node)
    return order
