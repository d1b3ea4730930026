"""A lower bound of the arithmetic that a task needs: products of its inputs that become its outputs as they are.

The reference is run on shapes alone (PyTorch's meta device), and products of matrices and convolutions are counted. A
product counts if both operands are inputs, or inputs rescaled, cast or viewed, and if every element of it goes into an
output: what is summed up, gathered, overwritten or multiplied again later might be had for less. Where an operation
is not known, or the reference needs data, nothing is counted: the bound is 0 then, never too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from backends.run.inputs import DTYPES
from backends.run.oracle import call_reference

if TYPE_CHECKING:
    from ir.machine import Machine
    from ir.task import Sizes, Task

_aten = torch.ops.aten
# Products -> positions of the two factors, and of what is added if there is such.
_PRODUCTS: Mapping[Any, tuple[int, int]] = {
    _aten.mm: (0, 1),
    _aten.bmm: (0, 1),
    _aten.addmm: (1, 2),
    _aten.baddbmm: (1, 2),
    _aten.convolution: (0, 1),
}
# Of what such a product takes, fast algorithms in use leave at least this: Strassen's, five deep, half of a matrix
# product; Winograd's F(4x4, 3x3) a quarter of a convolution.
_LEAST: Mapping[Any, float] = {_aten.convolution: 0.25}
_LEAST_OF_MATRICES = 0.5
# Operations by which an element of the result is made of the same element of an operand, or is that element.
_ELEMENTWISE = frozenset([
    _aten.mul, _aten.add, _aten.sub, _aten.div, _aten.neg, _aten._to_copy, _aten.clone, _aten.relu, _aten.view,
    _aten._unsafe_view, _aten.t, _aten.transpose, _aten.permute, _aten.unsqueeze, _aten.squeeze, _aten.alias,
    _aten.detach, _aten.contiguous, _aten.reshape, _aten.gelu, _aten.silu, _aten.sigmoid, _aten.tanh,
])  # fmt: skip
# Rates of a machine -> unit roundoff of what is multiplied. Source: IEEE 754, OCP 8-bit floating point.
_RATES: Mapping[str, float] = {
    "tensor_fp64_flop_per_cycle": 2.0**-53,
    "tensor_tf32_flop_per_cycle": 2.0**-11,
    "tensor_fp16_flop_per_cycle": 2.0**-11,
    "tensor_bf16_flop_per_cycle": 2.0**-8,
    "tensor_fp8_flop_per_cycle": 2.0**-4,
    "tensor_int8_flop_per_cycle": 2.0**-7,
    "tensor_fp4_flop_per_cycle": 2.0**-2,
}
_FP32_LANES, _FP32_ROUNDOFF = "fp32_lanes_per_cycle", 2.0**-24
# A format that is coarser than this many tolerances needs at least so many products in place of one.
_COARSER, _SPLITS = 4.0, 3.0


def needed_flops(task: Task, sizes: Sizes) -> float:
    """Additions and multiplications that every kernel for the task needs at these sizes, at the least."""
    values = task.values(sizes)
    inputs = {a.name: _shape_alone(a.shape_at(values), DTYPES[a.dtype]) for a in task.inputs}
    tracker = Tracker({id(x): x for x in inputs.values()})
    try:
        with tracker:
            found = call_reference(task, sizes, inputs)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, KeyError, AttributeError):
        return 0.0
    outputs = found.values() if isinstance(found, Mapping) else ()
    return sum(tracker.made.get(id(x), (None, 0.0))[1] for x in outputs)


def flops_us(flops: float, machine: Machine, tolerance: float) -> float:
    """The least time in microseconds for so many operations with results within a tolerance; 0 without rates.

    Every unit is taken to be busy, at the fastest rate of any format with which the tolerance can be had at all.
    """
    rates = {**_RATES, _FP32_LANES: _FP32_ROUNDOFF}
    chip = machine.rates.get("sm_count", 0.0) * machine.rates.get("clock_mhz", 0.0)
    fastest = max((_rate(machine, name) / _products(u, tolerance) for name, u in rates.items()), default=0.0)
    return flops / (fastest * chip) if fastest and chip else 0.0


def _rate(machine: Machine, name: str) -> float:
    """Operations in a cycle of an SM, at the upper end of what is known."""
    rate = max(machine.rates.get(name, 0.0), *machine.spreads.get(name, (0.0, 0.0)))
    return 2 * rate if name == _FP32_LANES else rate


def _products(roundoff: float, tolerance: float) -> float:
    """How many products in a format make up for one, at the least.

    >>> _products(2.0**-8, 2e-6), _products(2.0**-8, 1e-2)
    (3.0, 1.0)
    """
    return 1.0 if roundoff <= _COARSER * tolerance else _SPLITS


def _shape_alone(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    wide = torch.float64 if dtype.is_floating_point else dtype
    return torch.empty(shape, dtype=wide, device="meta")


def _memory(tensor: torch.Tensor) -> int:
    """The same for a tensor and its views."""
    return int(tensor.untyped_storage()._cdata)


@dataclass
class Tracker(TorchDispatchMode):  # type: ignore[misc]
    """Follows inputs and their products through the reference. `plain`: inputs as they are; `made`: products, flops."""

    plain: dict[int, torch.Tensor]
    made: dict[int, tuple[torch.Tensor, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and note what its result is made of."""
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if func._schema.is_mutable:
            self._wrote(func, args, kwargs or {})
        elif isinstance(result, torch.Tensor):
            if packet in _PRODUCTS:
                self._multiplied(packet, args, kwargs or {}, result)
            elif packet in _ELEMENTWISE:
                self._passed_on(args, result)
        return result

    def _multiplied(self, packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        factors = [args[place] for place in _PRODUCTS[packet]]
        count: Callable[..., float] | None = flop_registry.get(packet)
        if count is not None and all(id(f) in self.plain for f in factors):
            flops = float(count(*args, **kwargs, out_val=result)) * _LEAST.get(packet, _LEAST_OF_MATRICES)
            self.made[id(result)] = (result, flops)

    def _wrote(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What is written to, and what shares its memory, is no longer known, but for `relu_`, `add_(input)`, ..."""
        others = [a for a in args[1:] if isinstance(a, torch.Tensor)]
        name, in_place = func._overloadpacket.__name__.removesuffix("_"), func._overloadpacket.__name__.endswith("_")
        if in_place and getattr(_aten, name, None) in _ELEMENTWISE and all(id(a) in self.plain for a in others):
            return
        given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
        written = [given.get(a.name) for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
        gone = {_memory(x) for x in tree_leaves(written) if isinstance(x, torch.Tensor)}
        self.plain = {i: x for i, x in self.plain.items() if _memory(x) not in gone}
        self.made = {i: (x, flops) for i, (x, flops) in self.made.items() if _memory(x) not in gone}

    def _passed_on(self, args: tuple[Any, ...], result: torch.Tensor) -> None:
        """An element of the result for each of the operand's; a mask that is no input might make some superfluous."""
        operands = [a for a in args if isinstance(a, torch.Tensor)]
        if not all(id(a) in self.plain or id(a) in self.made for a in operands):
            return
        same = [a for a in operands if a.numel() == result.numel()]
        flops = [self.made[id(a)][1] for a in same if id(a) in self.made]
        if flops:
            self.made[id(result)] = (result, max(flops))
        elif same and all(id(a) in self.plain for a in operands):
            self.plain[id(result)] = result
