"""Memory accesses of a loop: what they point into, how they move from one iteration to the next, whether dense."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ir.loop import Operation
from ir.types import Type
from twill.analysis.affine import Affine
from twill.analysis.polynomial import Polynomial, Symbol, axis, iteration
from twill.analysis.scope import Scope

_COPY_BITS = 32
ALIGNMENT_BYTES = 16  # of base and strides: CUDA driver API, cuTensorMapEncodeTiled


class Effect(StrEnum):
    """What an access does to memory."""

    READ = "read"
    WRITE = "write"
    UPDATE = "update"


# Opcode -> effect, position of the address or descriptor, position of the value written.
_EFFECTS: dict[str, tuple[Effect, int, int | None]] = {
    "tt.load": (Effect.READ, 0, None),
    "tt.store": (Effect.WRITE, 0, 1),
    "tt.atomic_rmw": (Effect.UPDATE, 0, 1),
    "tt.atomic_cas": (Effect.UPDATE, 0, 2),
    "tt.descriptor_load": (Effect.READ, 0, None),
    "tt.descriptor_gather": (Effect.READ, 0, None),
    "tt.descriptor_store": (Effect.WRITE, 0, 1),
    "tt.descriptor_scatter": (Effect.WRITE, 0, -1),
    "tt.descriptor_reduce": (Effect.UPDATE, 0, 1),
}
_MASK_OPERAND = {"tt.load": 1, "tt.store": 2, "tt.atomic_rmw": 2}
_COMPARISONS = ("arith.cmpi",)
_MASK_VIEWS = ("tt.splat", "tt.broadcast", "tt.expand_dims")


@dataclass(frozen=True)
class Access:
    """One load, store or atomic.

    base: the pointer value that it points into, None where that is unknown. offset: distance from it in elements, None
    for a descriptor. strides: distance in elements of neighbours along each tile axis, None where it varies.
    """

    operation: Operation
    effect: Effect
    type: Type
    base: str | None
    offset: Polynomial | None
    strides: tuple[Polynomial | None, ...]
    descriptor: bool = False
    bounded: bool = True
    fills_zero: bool = True

    @property
    def name(self) -> str:
        """How messages call it: the result's name, or the opcode."""
        results = self.operation.results
        return results[0].name if results else self.operation.opcode

    @property
    def contiguous_axis(self) -> int | None:
        """The axis along which neighbours are adjacent in memory."""
        found = [i for i, s in enumerate(self.strides) if s is not None and s.value == 1 and self.type.shape[i] > 1]
        return found[-1] if found else None

    @property
    def inner_axis(self) -> int | None:
        """The contiguous axis; the last one for a descriptor."""
        return len(self.type.shape) - 1 if self.descriptor and self.type.shape else self.contiguous_axis

    @property
    def is_dense(self) -> bool:
        """True for a rectangular tile of a strided array, masked by nothing but the array's bounds: TMA can load it."""
        if self.descriptor:
            return True
        extents = zip(self.strides, self.type.shape, strict=True)
        regular = all(n == 1 or (s is not None and s.value != 0) for s, n in extents)
        return regular and self.contiguous_axis is not None and self.bounded

    @property
    def can_copy_async(self) -> bool:
        """True where cp.async can load it: at least 4 adjacent bytes, and zeros where the mask hides it."""
        axis = self.contiguous_axis
        return self.descriptor or (
            axis is not None and self.fills_zero and self.type.shape[axis] * self.type.element_bits >= _COPY_BITS
        )

    def step(self, loop: str) -> Polynomial | None:
        """Elements by which the tile moves in one iteration; None where that is unknown."""
        if self.offset is None:
            return None
        return self.offset.coefficient(iteration(loop))


def accesses(scope: Scope, affine: Affine) -> tuple[Access, ...]:
    """Every memory access of the loop body, in program order."""
    return tuple(_access(scope, affine, op) for op in scope.operations if op.opcode in _EFFECTS)


def address_operands(operation: Operation) -> tuple[str, ...]:
    """Operands that only say where to access: address, offsets and mask."""
    if operation.opcode not in _EFFECTS:
        return ()
    _effect, address, value = _EFFECTS[operation.opcode]
    if operation.opcode.startswith("tt.descriptor"):
        written = operation.operands[value] if value is not None else None
        return tuple(o for o in operation.operands if o != written)
    mask = _MASK_OPERAND.get(operation.opcode, len(operation.operands))
    return tuple(o for i, o in enumerate(operation.operands) if i in (address, mask))


def stored_operand(operation: Operation) -> str | None:
    """The value that a store or atomic writes."""
    value = _EFFECTS[operation.opcode][2]
    return None if value is None else operation.operands[value]


def _access(scope: Scope, affine: Affine, operation: Operation) -> Access:
    effect, at, _value = _EFFECTS[operation.opcode]
    address = operation.operands[at]
    type_ = _tile_type(scope, operation)
    if operation.opcode.startswith("tt.descriptor"):
        return Access(operation, effect, type_, address, None, (None,) * len(type_.shape), descriptor=True)
    offset = affine(address)
    pointers = [s for s in offset.symbols if _is_pointer(scope, s) and offset.coefficient(s) == Polynomial.number(1)]
    base = pointers[0].name if len(pointers) == 1 else None
    if base is not None:
        offset = offset - Polynomial.of(pointers[0])
    strides = tuple(_stride(scope, offset, i) for i in range(len(type_.shape)))
    zeros = _fills_zero(scope, operation)
    bounded = zeros and _is_bounded(scope, affine, operation)
    return Access(operation, effect, type_, base, offset, strides, bounded=bounded, fills_zero=zeros)


def _tile_type(scope: Scope, operation: Operation) -> Type:
    """The tile that is read or written."""
    stored = stored_operand(operation)
    if stored is not None:
        return scope.types[stored]
    return operation.results[0].type


def _is_pointer(scope: Scope, symbol: Symbol) -> bool:
    return symbol.name in scope.types and scope.types[symbol.name].pointer and not symbol.axes


def _stride(scope: Scope, offset: Polynomial, number: int) -> Polynomial | None:
    """None where the offset is not linear along the axis, or by an amount that varies."""
    if any(number in s.axes and not s.is_axis for s in offset.symbols):
        return None
    stride = offset.coefficient(axis(number))
    if stride is None or any(s.axes or s.is_iteration or not scope.is_invariant(s.name) for s in stride.symbols):
        return None
    return stride


def _fills_zero(scope: Scope, operation: Operation) -> bool:
    """True where what a mask hides reads as zero, or as anything."""
    if not operation.attributes.get("has_other"):
        return True
    other = operation.operands[_MASK_OPERAND[operation.opcode] + 1]
    return scope.splat(other) == 0 or _is_descriptor_padding(scope, other)


def _is_descriptor_padding(scope: Scope, name: str) -> bool:
    """What a descriptor reads outside the array; TMA fills with either value."""
    definition = scope.definitions.get(name)
    chooses = isinstance(definition, Operation) and definition.opcode == "arith.select"
    return chooses and isinstance(definition, Operation) and definition.operands[0].endswith(".padding")


def _is_bounded(scope: Scope, affine: Affine, operation: Operation) -> bool:
    """True without a mask, or where the mask compares positions with bounds."""
    mask = _MASK_OPERAND.get(operation.opcode)
    if not operation.attributes.get("has_mask", False) or mask is None:
        return True
    return _is_bounds(scope, affine, operation.operands[mask])


def _is_bounds(scope: Scope, affine: Affine, name: str) -> bool:
    definition = scope.definitions.get(name)
    if not scope.types[name].shape or scope.splat(name) is not None:
        return True
    if not isinstance(definition, Operation):
        return False
    if definition.opcode == "arith.andi":
        return all(_is_bounds(scope, affine, o) for o in definition.operands)
    if definition.opcode in _MASK_VIEWS:
        return _is_bounds(scope, affine, definition.operands[0])
    return definition.opcode in _COMPARISONS and _compares_one_axis(affine, definition)


def _compares_one_axis(affine: Affine, comparison: Operation) -> bool:
    difference = affine(comparison.operands[0]) - affine(comparison.operands[1])
    varying = [s for s in difference.symbols if s.axes]
    steps = [difference.coefficient(s) for s in varying]
    return len(varying) <= 1 and all(s.is_axis for s in varying) and all(c is not None and c.value for c in steps)
