"""From an MLIR module in generic form (TTIR, TTGIR) to `ir.loop.Kernel`.

Triton's Python bindings cannot list an operation's attributes, give the place of one without results, or give a
floating-point constant. MLIR's generic text form has all of it in one fixed syntax, so Triton parses and verifies the
module and prints it so (`triton_adaptor.generic_text`), and `twill.frontend.generic` reads that.

What a kernel keeps
* Operations keep their opcode, operands and order. Attributes are those of the operation, sorted, with enumerations by
  name (`inputPrecision` = tf32, `cache` = cg, `evict` = evict_first, `predicate` = slt) and defaults left out.
* `arith.constant` has `value`: a number or a bool, of a scalar or of a splat; a tuple for a tensor of integers.
* Operand order is the dialect's: tt.load (pointer, mask, other), tt.store (pointer, value, mask), tt.dot (a, b, c),
  tt.addptr (pointer, offset), tt.descriptor_load (descriptor, indices...), tt.descriptor_store (descriptor, value,
  indices...), tt.make_tensor_descriptor (base, shape..., strides...), tt.atomic_rmw (pointer, value, mask),
  arith.select (condition, true, false). Loads, stores and atomics say which optional operands are there:
  `has_mask`, `has_other`. Where a dialect groups operands, `operandSegmentSizes` has the size of each group.
* tt.reduce and tt.scan have `axis`, and the operations of their combiner by name in `combiner`.
* An `if` becomes its operations under predicates, and one arith.select (condition, then, else) for each result. An
  early return puts the rest of the kernel under the predicate that it was not taken.
* A loop that cannot be scheduled is kept, with the reason in `refusal`.
* A place is the innermost inlined frame that is not in Triton's own library; so is a variable's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from ir.diagnostics import Location, fail
from ir.loop import Attribute, Carried, Kernel, Loop, Operation, Predicate, Value
from twill.frontend.attributes import kernel_attributes
from twill.frontend.generic import Block, Frame, Node, read_generic
from twill.frontend.names import Draft, Item, assign, renamed
from twill.frontend.types import read_type

_TERMINATORS = ("scf.yield", "scf.condition", "tt.return", "tt.reduce.return", "tt.scan.return", "ttg.warp_yield",
                "ttg.warp_return", "tt.map_elementwise.return", "cf.br", "cf.cond_br")  # fmt: skip
# Number of operands with the mask, and with the other value, of operations without segment sizes.
_MASKED = {"tt.store": 3, "tt.atomic_rmw": 3}
_SEGMENTS_OF_LOAD = 3


def kernel_from_generic(text: str, source: str, name: str = "", dialect: str = "ttir", warps: int = 4) -> Kernel:
    """The kernel `name`, or the only one, of a module's generic text.

    Raises UserError: no-kernel, several-kernels, unknown-kernel, unstructured-control-flow.
    """
    module = read_generic(text, source)
    function = _function(module, source, name)
    builder = _Builder()
    kernel = builder.function(function, source)
    warps = int(module.attributes.get("ttg.num-warps", warps))
    kernel = Kernel(**{**vars(kernel), "dialect": dialect, "warps": warps})
    return renamed(kernel, assign(builder.drafts))


def kernel_names(module: Node) -> tuple[str, ...]:
    """Names of the public functions of a module."""
    functions = (node for block in module.regions[0] for node in block.nodes if node.opcode == "tt.func")
    return tuple(f.attributes["sym_name"] for f in functions if f.attributes.get("sym_visibility") != "private")


def _function(module: Node, source: str, name: str) -> Node:
    public = kernel_names(module)
    wanted = (name,) if name else public
    nodes = [n for block in module.regions[0] for n in block.nodes if n.attributes.get("sym_name") in wanted]
    place = Location(source)
    if not public:
        raise fail("no-kernel", "the module has no public tt.func", place)
    if name and not nodes:
        raise fail("unknown-kernel", f"the module has no kernel `{name}`", place, f"it has: {', '.join(public)}")
    if len(nodes) > 1:
        remedy = f"choose one: {', '.join(f'{source}:{n}' for n in public)}"
        raise fail("several-kernels", f"the module has {len(nodes)} kernels", place, remedy)
    return nodes[0]


@dataclass(frozen=True)
class _Scope:
    """Where a walk stands: SSA name -> key of the values in sight, predicates since the innermost loop, loop depth."""

    values: Mapping[str, str]
    predicates: tuple[Predicate, ...] = ()
    depth: int = 0

    def under(self, condition: str, expected: bool) -> _Scope:
        return _Scope(self.values, (*self.predicates, Predicate(condition, expected)), self.depth)


@dataclass
class _Builder:
    """Walks a function once; values have provisional keys, named at the end."""

    drafts: list[Draft] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)

    def function(self, node: Node, source: str) -> Kernel:
        entry = node.regions[0][0] if node.regions and node.regions[0] else Block("", (), ())
        arguments = [self.define(a.type, _name(a.frames) or a.name[1:], "", fixed=True) for a in entry.arguments]
        scope = _Scope({a.name: v.name for a, v in zip(entry.arguments, arguments, strict=True)})
        told = node.attributes.get("arg_attrs", ())
        attributes = {v.name: kernel_attributes("", t) for v, t in zip(arguments, told, strict=False) if t}
        return Kernel(
            name=node.attributes["sym_name"],
            arguments=tuple(arguments),
            body=tuple(self.blocks(node.regions[0], scope)),
            source=source,
            location=_place(node.frames),
            argument_attributes=attributes,
        )

    def define(
        self, type_text: str, base: str, suffix: str, depth: int = 0, candidate: bool = True, fixed: bool = False
    ) -> Value:
        """A new value with a provisional key."""
        key = f"%{len(self.drafts)}"
        self.drafts.append(Draft(key, base, suffix, depth, candidate, fixed))
        return Value(key, read_type(type_text))

    def results(self, node: Node, suffix: str, depth: int, candidate: bool = True) -> tuple[Value, ...]:
        bases = _result_names(node)
        return tuple(
            self.define(t, base, suffix, depth, candidate) for t, base in zip(node.result_types, bases, strict=True)
        )

    def base(self, key: str) -> str:
        """The variable that a value belongs to."""
        return self.drafts[int(key[1:])].base

    # Blocks: a terminator ends each; it is returned for the operation around it to read.

    def block(self, block: Block, scope: _Scope, inherited: Mapping[str, str]) -> tuple[list[Item], list[str]]:
        """The items of a block, and the values that its terminator passes on."""
        values = {**scope.values, **inherited}
        scope = _Scope(values, scope.predicates, scope.depth)
        items: list[Item] = []
        for node in block.nodes:
            if node.opcode in _TERMINATORS:
                return items, [values[o] for o in node.operands]
            produced, results = _RULES.get(node.opcode, _Builder.plain)(self, node, scope)
            items += produced
            values.update(zip(node.results, results, strict=True))
        return items, []

    def blocks(self, blocks: tuple[Block, ...], scope: _Scope) -> list[Item]:
        """A function's body; more than one block where it returns early."""
        if len(blocks) > 1:
            raise fail("unstructured-control-flow", "early return", None)
        return self.block(blocks[0], scope, {})[0]

    # One rule for each kind of operation: its items, and the keys of its results.

    def plain(self, node: Node, scope: _Scope) -> tuple[list[Item], list[str]]:
        attributes = {**kernel_attributes(node.opcode, node.attributes), **_optional_operands(node)}
        results = self.results(node, _suffix(node, attributes), scope.depth)
        value = attributes.get("value")
        if node.opcode == "arith.constant" and type(value) is int:
            self.constants[results[0].name] = value
        operation = Operation(
            opcode=node.opcode,
            operands=tuple(scope.values[o] for o in node.operands),
            results=results,
            attributes=attributes,
            predicates=scope.predicates,
            combiner=_combiner(node),
            location=_place(node.frames),
        )
        return [operation], [v.name for v in results]

    def counted_loop(self, node: Node, scope: _Scope) -> tuple[list[Item], list[str]]:
        block, operands = node.regions[0][0], [scope.values[o] for o in node.operands]
        lower, upper, step, *initial = operands
        depth = scope.depth + 1
        induction, *arguments = self.arguments(block, node, ["", *initial], depth)
        inside = _Scope(scope.values, (), depth)
        keys = [v.name for v in (induction, *arguments)]
        body, yielded = self.block(block, inside, dict(zip((a.name for a in block.arguments), keys, strict=True)))
        results = [self.define(t, self.base(a.name), "out", scope.depth, False)
                   for t, a in zip(node.result_types, arguments, strict=True)]  # fmt: skip
        loop = Loop(
            name="",
            induction=induction,
            lower=lower,
            upper=upper,
            step=step,
            carried=tuple(map(Carried, arguments, initial, yielded, results)),
            body=tuple(body),
            trip_count=self.trip_count(lower, upper, step),
            attributes=kernel_attributes(node.opcode, node.attributes),
            location=_place(node.frames),
            refusal=_refusal(body),
            predicates=scope.predicates,
        )
        return [loop], [v.name for v in results]

    def arguments(self, block: Block, node: Node, initial: list[str], depth: int) -> list[Value]:
        """Induction variable and carried values of a loop."""
        chain = _names(node.frames)[::-1]
        first = [""] if len(chain) != len(block.arguments) else []
        known = [*first, *chain] if len(chain) + len(first) == len(block.arguments) else [""] * len(block.arguments)
        values = []
        for argument, name, start in zip(block.arguments, known, initial, strict=True):
            base = _name(argument.frames) or name or (self.base(start) if start else "")
            values.append(self.define(argument.type, base, "in" if start else "index", depth, not start))
        return values

    def trip_count(self, lower: str, upper: str, step: str) -> int | None:
        """ceil((upper - lower) / step), at least 0, where all three are constants."""
        if not {lower, upper, step} <= self.constants.keys():
            return None
        start, end, stride = (self.constants[key] for key in (lower, upper, step))
        return max(0, -((start - end) // stride)) if stride > 0 else None

    def branch(self, node: Node, scope: _Scope) -> tuple[list[Item], list[str]]:
        condition = scope.values[node.operands[0]]
        arms = [region[0] for region in node.regions if region]
        parts = [self.block(arm, scope.under(condition, first), {})
                 for arm, first in zip(arms, (True, False), strict=False)]  # fmt: skip
        items: list[Item] = [item for part, _ in parts for item in part]
        results = self.results(node, "select", scope.depth)
        for i, result in enumerate(results):
            choices = tuple(yielded[i] for _, yielded in parts)
            items.append(Operation("arith.select", (condition, *choices), (result,), {}, scope.predicates, (),
                                   _place(node.frames)))  # fmt: skip
        return items, [v.name for v in results]


def _result_names(node: Node) -> tuple[str, ...]:
    """Variable of each result; where an operation has several, its location names the last one first."""
    names = _names(node.frames)[::-1]
    count = len(node.results)
    if count == 1:
        return (names[-1] if names else "",)
    return names if len(names) == count else ("",) * count


def _suffix(node: Node, attributes: Mapping[str, Attribute]) -> str:
    value = attributes.get("value")
    if node.opcode == "arith.constant" and type(value) is int and value >= 0 and not _names(node.frames):
        return f"c{value}"
    return node.opcode.rpartition(".")[2]


def _optional_operands(node: Node) -> dict[str, Attribute]:
    count = len(node.operands)
    if node.opcode == "tt.load":
        return {"has_mask": count > 1, "has_other": count >= _SEGMENTS_OF_LOAD}
    if node.opcode in _MASKED:
        return {"has_mask": count >= _MASKED[node.opcode]}
    return {}


def _combiner(node: Node) -> tuple[str, ...]:
    inner = [n for region in node.regions for block in region for n in block.nodes]
    names = [name for n in inner if n.opcode not in _TERMINATORS for name in (n.opcode, *_combiner(n))]
    return tuple(names)


def _refusal(body: list[Item]) -> str | None:
    calls = [i for i in body if isinstance(i, Operation) and i.opcode == "tt.call"]
    if not calls:
        return None
    return f"it calls `{calls[0].attributes['callee']}` at {calls[0].location}, which is not inlined"


# Frames: Triton's own library is seen through.


def _is_library(frame: Frame) -> bool:
    parts = PurePath(frame.location.file).parts
    return "triton" in parts and "site-packages" in parts


def _user_frame(frames: tuple[Frame, ...]) -> Frame | None:
    users = [f for f in frames if f.location.file and not _is_library(f)]
    return next(iter((*users, *frames)), None)


def _place(frames: tuple[Frame, ...]) -> Location | None:
    frame = _user_frame(frames)
    return frame.location if frame and frame.location.file else None


def _names(frames: tuple[Frame, ...]) -> tuple[str, ...]:
    """Variable names of the innermost frame that has any and is the user's, the last name first."""
    named = [f for f in frames if f.names and not _is_library(f)]
    return named[0].names if named else ()


def _name(frames: tuple[Frame, ...]) -> str:
    return (_names(frames) or ("",))[0]


_Rule = Callable[[_Builder, Node, _Scope], tuple[list[Item], list[str]]]
_RULES: dict[str, _Rule] = {
    "scf.for": _Builder.counted_loop,
    "scf.if": _Builder.branch,
}
