"""Sub-tiling: the dimensions that follow the rows of the loop's accumulators, and the body split along them.

Dimensions of values are put in one class where an operation walks them together (elementwise operations, the rows of a
product and of its first operand, what is left of a reduction, ...). Splitting a class into N gives N independent copies
of every operation that has one of its dimensions; all others are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ir.diagnostics import Location, UserError, fail
from ir.loop import Operation
from ir.types import Type
from twill.analysis.scope import LoopArgument, LoopResult, Scope, inputs

Dim = tuple[str, int]

_INDEX_SOURCES = ("tt.make_range", "tt.splat", "tt.broadcast", "tt.expand_dims", "tt.trans", "tt.reshape", "tt.addptr")
_INDEX_OPERATIONS = ("arith.",)

# Reasons why a dimension cannot be split.
CONTRACTED = "a product sums over it"
REDUCED = "a reduction runs along it"
SCANNED = "a scan runs along it"
MIXED = "an operation mixes its elements"


@dataclass
class Dimensions:
    """Union-find over (value, axis); `marks` has the reasons, with places, that forbid to split a class."""

    scope: Scope
    parent: dict[Dim, Dim] = field(default_factory=dict)
    marks: dict[Dim, tuple[str, Location | None]] = field(default_factory=dict)
    indices: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for carried in self.scope.loop.carried:
            for other in (carried.initial, carried.yielded, carried.result.name):
                self.same(carried.argument.name, other)
        for definition in {id(d): d for d in self._operations()}.values():
            _RULES.get(definition.opcode, _together)(self, definition)

    def _operations(self) -> Iterator[Operation]:
        """The body, and what it is computed from outside the loop."""
        waiting, seen = [name for op in self.scope.operations for name in inputs(op)], set[str]()
        yield from self.scope.operations
        while waiting:
            name = waiting.pop()
            definition = self.scope.definitions.get(name)
            if name not in seen and isinstance(definition, Operation):
                yield definition
                waiting += inputs(definition)
            seen.add(name)

    def root(self, dim: Dim) -> Dim:
        """The representative of a dimension's class."""
        while self.parent.get(dim, dim) != dim:
            dim = self.parent[dim]
        return dim

    def join(self, one: Dim, other: Dim) -> None:
        """Put two dimensions of one extent in one class; an extent of 1 is no dimension to follow."""
        extents = self.extent(one), self.extent(other)
        if extents[0] != extents[1] or extents[0] == 1 or self.is_index(one[0]) or self.is_index(other[0]):
            return
        a, b = self.root(one), self.root(other)
        if a == b:
            return
        self.parent[a] = b
        if a in self.marks:
            self.marks.setdefault(b, self.marks[a])

    def same(self, one: str, other: str) -> None:
        """Join the axes of two values of one rank, axis by axis."""
        ranks = len(self.shape(one)), len(self.shape(other))
        for axis in range(ranks[0] if ranks[0] == ranks[1] else 0):
            self.join((one, axis), (other, axis))

    def mark(self, dim: Dim, reason: str, operation: Operation) -> None:
        """Forbid to split the dimension's class."""
        if self.extent(dim) > 1:
            self.marks.setdefault(self.root(dim), (reason, operation.location))

    def is_index(self, name: str) -> bool:
        """True for pointers and index tiles: one range serves many dimensions, and each copy computes its own."""
        if name not in self.indices:
            self.indices[name] = True  # a carried index depends on itself
            self.indices[name] = _is_index(self, name)
        return self.indices[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a value, () for a scalar."""
        return self.scope.types[name].shape if name in self.scope.types else ()

    def extent(self, dim: Dim) -> int:
        """Elements along a dimension."""
        return self.shape(dim[0])[dim[1]]

    def axes(self, name: str, root: Dim) -> tuple[int, ...]:
        """Axes of a value that are in the class of `root`."""
        return tuple(i for i in range(len(self.shape(name))) if self.root((name, i)) == root)


def _is_index(dimensions: Dimensions, name: str) -> bool:
    type_, definition = dimensions.scope.types[name], dimensions.scope.definitions.get(name)
    if type_.pointer or not type_.shape:
        return True
    if not type_.element.startswith("i"):
        return False
    if type_.element == "i1":
        return _is_spread_mask(dimensions.scope, name)
    if isinstance(definition, Operation):
        known = definition.opcode in _INDEX_SOURCES or definition.opcode.startswith(_INDEX_OPERATIONS)
        return known and all(map(dimensions.is_index, definition.operands))
    if isinstance(definition, LoopArgument | LoopResult):
        return dimensions.is_index(definition.carried.initial) and dimensions.is_index(definition.carried.yielded)
    return True


def _is_spread_mask(scope: Scope, name: str) -> bool:
    """True for a mask spread along an axis: one such tile may serve loads and selects over different dimensions."""
    definition = scope.definitions.get(name)
    return isinstance(definition, Operation) and definition.opcode in ("tt.broadcast", "tt.splat")


@dataclass(frozen=True)
class Split:
    """How the body is split: axes of each value that has the split dimension, and the number of copies."""

    copies: int = 1
    axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def is_split(self, name: str) -> bool:
        """True where each copy has its own part of the value."""
        return name in self.axes

    def part(self, name: str, type_: Type, copy: int | None) -> Type:
        """Type of one copy's part of a value."""
        if copy is None or name not in self.axes:
            return type_
        shape = tuple(n // self.copies if i in self.axes[name] else n for i, n in enumerate(type_.shape))
        return replace(type_, shape=shape)

    def copies_of(self, operation: Operation) -> tuple[int | None, ...]:
        """The copies of an operation: one for each part, or the single one that all share."""
        names = (*operation.operands, *(value.name for value in operation.results))
        return tuple(range(self.copies)) if any(map(self.is_split, names)) else (None,)


def split_rows(scope: Scope, copies: int, smallest_rows: int) -> Split:
    """Split the rows of the loop's accumulators.

    smallest_rows: rows of a product below which a piece is no tile of the hardware. Raises UserError `subtile-refused`.
    """
    if copies == 1:
        return Split()
    dimensions = Dimensions(scope)
    seed = _seed(scope)
    if seed is None:
        raise _refused(scope, copies, "the loop carries no tile", scope.loop.location)
    root = dimensions.root(seed)
    if root in dimensions.marks:
        reason, location = dimensions.marks[root]
        raise _refused(scope, copies, f"rows of `{seed[0]}` cannot be split: {reason}", location)
    split = Split(copies, {n: axes for n in scope.types if (axes := dimensions.axes(n, root))})
    _check_extent(scope, split, dimensions.extent(seed), seed[0])
    for operation in scope.operations:
        _check_operation(scope, split, operation, smallest_rows)
    return split


def _seed(scope: Scope) -> Dim | None:
    """The rows of the first accumulator of a product, else of the first carried tile that is no address."""
    tiles = [c for c in scope.loop.carried if c.argument.type.shape and not c.argument.type.pointer]
    variant = [c for c in tiles if c.argument.name in scope.variant]
    products = [c for c in variant if _is_product(scope, c.yielded)]
    chosen = next(iter((*products, *variant)), None)
    return None if chosen is None else (chosen.argument.name, max(0, len(chosen.argument.type.shape) - 2))


def _is_product(scope: Scope, name: str) -> bool:
    definition = scope.definitions.get(name)
    return isinstance(definition, Operation) and definition.opcode.startswith("tt.dot")


def _check_extent(scope: Scope, split: Split, extent: int, name: str) -> None:
    if extent % split.copies or extent < split.copies:
        reason = f"{extent} rows of `{name}` are no multiple of {split.copies}"
        raise _refused(scope, split.copies, reason, scope.loop.location)


def _check_operation(scope: Scope, split: Split, operation: Operation, smallest_rows: int) -> None:
    for value in operation.results:
        if len(split.axes.get(value.name, ())) > 1:
            reason = f"both axes of `{value.name}` would be split"
            raise _refused(scope, split.copies, reason, operation.location)
    if not operation.opcode.startswith("tt.dot") or not split.is_split(operation.results[0].name):
        return
    result = operation.results[0]
    axis = split.axes[result.name][0]
    piece, smallest = result.type.shape[axis] // split.copies, smallest_rows
    if axis == len(result.type.shape) - 2 and piece % smallest:
        reason = f"a piece of `{result.name}` has {piece} rows, no multiple of the tensor core's {smallest}"
        raise _refused(scope, split.copies, reason, operation.location)


def _refused(scope: Scope, copies: int, reason: str, location: Location | None) -> UserError:
    remedy = "choose another number of sub-tiles, or larger blocks"
    return fail(
        "subtile-refused", f"no split into {copies} sub-tiles: {reason}", location or scope.loop.location, remedy
    )


# Rules: which dimensions an operation walks together.


def _together(d: Dimensions, op: Operation) -> None:
    """Elementwise, loads and stores: axis by axis."""
    names = [n for n in (*op.operands, *(v.name for v in op.results)) if d.shape(n)]
    for name in names[1:]:
        d.same(names[0], name)


def _product(d: Dimensions, op: Operation) -> None:
    a, b, c, result = op.operands[0], op.operands[1], op.operands[2], op.results[0].name
    last = len(d.shape(result)) - 1
    d.same(c, result)
    for batch in range(last - 1):
        d.join((a, batch), (result, batch))
        d.join((b, batch), (result, batch))
    d.join((a, last - 1), (result, last - 1))
    d.join((b, last), (result, last))
    d.mark((a, last), CONTRACTED, op)
    d.mark((b, last - 1), CONTRACTED, op)


def _reduction(d: Dimensions, op: Operation) -> None:
    along = int(op.attributes["axis"])  # type: ignore[arg-type]
    for operand, value in zip(op.operands, op.results, strict=False):
        kept = [i for i in range(len(d.shape(operand))) if i != along]
        d.mark((operand, along), REDUCED, op)
        d.same(op.operands[0], operand)
        for new, old in enumerate(kept):
            if value.type.shape:
                d.join((operand, old), (value.name, new))


def _scan(d: Dimensions, op: Operation) -> None:
    along = int(op.attributes["axis"])  # type: ignore[arg-type]
    _together(d, op)
    d.mark((op.operands[0], along), SCANNED, op)


def _expand(d: Dimensions, op: Operation) -> None:
    at = int(op.attributes["axis"])  # type: ignore[arg-type]
    for axis in range(len(d.shape(op.operands[0]))):
        d.join((op.operands[0], axis), (op.results[0].name, axis + (axis >= at)))


def _transpose(d: Dimensions, op: Operation) -> None:
    order = op.attributes["order"]
    assert isinstance(order, tuple)
    for new, old in enumerate(order):
        d.join((op.operands[0], old), (op.results[0].name, new))


def _reshape(d: Dimensions, op: Operation) -> None:
    """Axes that keep their extent are walked together, those that are cut or merged are mixed."""
    source, result = op.operands[0], op.results[0].name
    for old, new in _groups(d.shape(source), d.shape(result)):
        if len(old) == len(new) == 1:
            d.join((source, old[0]), (result, new[0]))
            continue
        for name, axes in ((source, old), (result, new)):
            for axis in axes:
                d.mark((name, axis), MIXED, op)


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> Iterator[tuple[list[int], list[int]]]:
    """Smallest groups of axes, without those of extent 1, that hold the same elements before and after a reshape.

    >>> list(_groups((1, 128, 64), (128, 8, 8)))
    [([1], [0]), ([2], [1, 2])]
    """
    left, right = ([(i, n) for i, n in enumerate(shape) if n > 1] for shape in (old, new))
    while left and right:
        (i, m), (j, n) = left.pop(0), right.pop(0)
        group = [i], [j]
        while m != n:
            side, rest = (0, left) if m < n else (1, right)
            axis, extent = rest.pop(0)
            group[side].append(axis)
            m, n = (m * extent, n) if side == 0 else (m, n * extent)
        yield group


def _leading(d: Dimensions, op: Operation) -> None:
    """Join and split: the axes that both sides have."""
    for operand in op.operands:
        for value in op.results:
            for axis in range(min(len(d.shape(operand)), len(value.type.shape))):
                d.join((operand, axis), (value.name, axis))


def _mixes(d: Dimensions, op: Operation) -> None:
    for name in (*op.operands, *(v.name for v in op.results)):
        for axis in range(len(d.shape(name))):
            d.mark((name, axis), MIXED, op)


def _alone(_d: Dimensions, _op: Operation) -> None:
    """A scalar spread over a tile, a constant, an index range: nothing to follow."""


_RULES: Mapping[str, Callable[[Dimensions, Operation], None]] = {
    "tt.dot": _product,
    "tt.dot_scaled": _mixes,
    "tt.reduce": _reduction,
    "tt.scan": _scan,
    "tt.expand_dims": _expand,
    "tt.trans": _transpose,
    "tt.reshape": _reshape,
    "tt.join": _leading,
    "tt.split": _leading,
    "tt.cat": _mixes,
    "tt.gather": _mixes,
    "tt.histogram": _mixes,
    "tt.splat": _alone,
    "tt.make_range": _alone,
    "arith.constant": _alone,
}
