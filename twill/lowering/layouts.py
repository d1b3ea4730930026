"""TTGIR as if it were TTIR: layouts and places dropped, memory that products change made into values.

Where Triton put a tile is its choice, and lowering makes its own. So copies between places become views, barriers and
fences go, and a buffer that is written (tensor memory of a sum, shared memory of a TMA load) stands for the value last
written to it; one that a loop changes becomes a value that the loop carries. Only code that is not yet pipelined can be
read so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ir.diagnostics import fail
from ir.loop import Carried, Kernel, Loop, Operation, Value
from ir.types import Memory, Type

_VIEW = "ttg.convert_layout"
_COPIES = frozenset({"ttg.convert_layout", "ttg.local_alloc", "ttg.local_load", "ttng.tmem_load", "ttng.tmem_alloc"})
_WAITS = frozenset({"ttng.warp_group_dot_wait"})
_RENAMED = {"ttng.warp_group_dot": "tt.dot"}
_BUFFER_VIEWS = {"ttg.memdesc_trans": "tt.trans", "ttg.memdesc_reshape": "tt.reshape"}
_DROPPED = frozenset(
    {"ttng.fence_async_shared", "ttng.init_barrier", "ttng.inval_barrier", "ttng.wait_barrier", "ttg.local_dealloc",
     "ttng.barrier_expect", "ttng.arrive_barrier", "ttng.async_tma_store_wait", "ttng.async_tma_store_token_wait"}
)  # fmt: skip
# Opcode -> position of the buffer that it writes, counted from the end where negative; tokens do not count.
_WRITES = {"ttng.tc_gen5_mma": 2, "ttng.tmem_store": 0, "ttg.local_store": 1, "ttng.async_tma_copy_global_to_local": -2}
_TMA_STORE = "ttng.async_tma_copy_local_to_global"
_TOKEN = "token"
_ZERO = "layouts.zero"


def without_layouts(kernel: Kernel, loop: Loop) -> tuple[Kernel, Loop]:
    """The kernel in TTIR's terms, and the same loop of it; TTIR comes back as it is.

    Raises UserError `pipelined-ttgir`.
    """
    if kernel.dialect != "ttgir":
        return kernel, loop
    rewriter = _Rewriter({v.name: v.type for v in _values(kernel)}, dict(_numbers(kernel.body)))
    body = tuple(rewriter.items(kernel.body))
    found = replace(kernel, body=(*rewriter.constants, *body), dialect="ttir")
    return found, next(item for item in found.loops() if item.name == loop.name)


@dataclass
class _Rewriter:
    """Walks the kernel in order; `contents` is what each written buffer stands for at this point."""

    types: dict[str, Type]
    numbers: Mapping[str, object]
    contents: dict[str, str] = field(default_factory=dict)
    constants: list[Operation] = field(default_factory=list)
    views: dict[str, Operation] = field(default_factory=dict)

    def items(self, body: tuple[Operation | Loop, ...]) -> Iterator[Operation | Loop]:
        for item in body:
            if isinstance(item, Loop):
                yield self.loop(item)
            else:
                yield from self.operation(item)

    def now(self, name: str) -> str:
        """The value that a buffer stands for; any other name is its own."""
        return self.contents.get(name, name)

    def loop(self, loop: Loop) -> Loop:
        """Buffers of the outside that the loop changes become carried values."""
        changed = [b for b in dict.fromkeys(self.written(loop.body)) if b in self.contents]
        initial = {buffer: self.contents[buffer] for buffer in changed}
        arguments = {buffer: self.value(f"{buffer}.held", self.types[buffer]) for buffer in changed}
        self.contents.update({buffer: value.name for buffer, value in arguments.items()})
        first = tuple(replace(c, initial=self.now(c.initial)) for c in loop.carried)
        body = tuple(self.items(loop.body))
        own = tuple(replace(c, yielded=self.now(c.yielded)) for c in first)
        sums = []
        for buffer in changed:
            result = self.value(f"{buffer}.after", self.types[buffer])
            sums.append(Carried(arguments[buffer], initial[buffer], self.contents[buffer], result))
            self.contents[buffer] = result.name
        return replace(loop, body=body, carried=(*own, *sums))

    def operation(self, operation: Operation) -> Iterator[Operation]:
        operation = replace(operation, operands=self.without_tokens(operation))
        if operation.opcode in _DROPPED:
            return
        if operation.opcode in _BUFFER_VIEWS:
            self.views[operation.results[0].name] = operation
            return
        for name in operation.operands:
            yield from self.looked_at(name)
        operands = tuple(map(self.now, operation.operands))
        if operation.opcode in _WRITES:
            yield from self.write(operation, operands)
        elif operation.opcode in _COPIES:
            yield from self.copy(operation, operands)
        elif operation.opcode == _TMA_STORE:
            descriptor, *indices, value = operands
            yield replace(operation, opcode="tt.descriptor_store", operands=(descriptor, value, *indices), results=())
        elif operation.opcode in _WAITS:
            pairs = zip(operation.results, operands, strict=False)
            self.contents.update({value.name: source for value, source in pairs})
        elif operation.opcode.startswith(("ttg.", "ttng.")) and operation.opcode not in _RENAMED:
            raise _pipelined(operation)
        else:
            yield replace(operation, opcode=_RENAMED.get(operation.opcode, operation.opcode), operands=operands)

    def looked_at(self, name: str) -> Iterator[Operation]:
        """The view of a buffer, made of what the buffer stands for when somebody reads it."""
        if name not in self.views:
            return
        view = self.views[name]
        yield from self.looked_at(view.operands[0])
        made = self.value(name, view.results[0].type)
        yield replace(view, opcode=_BUFFER_VIEWS[view.opcode], operands=(self.now(view.operands[0]),), results=(made,))
        self.contents[name] = made.name

    def copy(self, operation: Operation, operands: tuple[str, ...]) -> Iterator[Operation]:
        """A view of what is copied; a buffer made without contents has none yet."""
        if not operands:
            self.contents[operation.results[0].name] = self.zero(operation.results[0].type)
            return
        yield replace(operation, opcode=_VIEW, operands=operands[:1], results=operation.results[:1])

    def write(self, operation: Operation, operands: tuple[str, ...]) -> Iterator[Operation]:
        buffer = operation.operands[_WRITES[operation.opcode]]
        name = f"{buffer.partition('.')[0]}.{operation.opcode.rpartition('_')[2]}"
        result = self.value(name, replace(self.types[buffer], memory=Memory.REGISTERS))
        made = _MADE[operation.opcode](self, operation, operands)
        yield replace(made, results=(result,))
        self.contents[buffer] = result.name

    def without_tokens(self, operation: Operation) -> tuple[str, ...]:
        """Operands without those that only order asynchronous operations."""
        return tuple(o for o in operation.operands if self.types[o].element != _TOKEN)

    def written(self, body: tuple[Operation | Loop, ...]) -> Iterator[str]:
        """Buffers that a body writes."""
        for item in body:
            if isinstance(item, Loop):
                yield from self.written(item.body)
            elif item.opcode in _WRITES:
                yield self.without_tokens(item)[_WRITES[item.opcode]]

    def zero(self, type_: Type) -> str:
        """A constant tile of zeros."""
        name = f"{_ZERO}.{type_}"
        if name not in self.types:
            self.types[name] = type_
            self.constants.append(Operation("arith.constant", (), (Value(name, type_),), {"value": 0}))
        return name

    def value(self, name: str, type_: Type) -> Value:
        """A new value whose name follows `name`."""
        number, unique = 0, name
        while unique in self.types:
            number += 1
            unique = f"{name}.{number}"
        self.types[unique] = type_
        return Value(unique, type_)


def _product(rewriter: _Rewriter, operation: Operation, operands: tuple[str, ...]) -> Operation:
    """tcgen05: a, b, the sum, whether to add to it, ..."""
    a, b, held, adds = operands[:4]
    starts = rewriter.numbers.get(adds) in (False, 0)
    c = rewriter.zero(rewriter.types[operation.operands[2]]) if starts else held
    return replace(operation, opcode="tt.dot", operands=(a, b, c))


def _stored(_rewriter: _Rewriter, operation: Operation, operands: tuple[str, ...]) -> Operation:
    """The buffer, the value, whether to store (tensor memory), or the value and the buffer (shared memory)."""
    value = operands[1 - _WRITES[operation.opcode]]
    return replace(operation, opcode=_VIEW, operands=(value,))


def _tma_load(_rewriter: _Rewriter, operation: Operation, operands: tuple[str, ...]) -> Operation:
    """Descriptor, coordinates, barrier, buffer, predicate."""
    return replace(operation, opcode="tt.descriptor_load", operands=operands[:-3])


_MADE: Mapping[str, Callable[[_Rewriter, Operation, tuple[str, ...]], Operation]] = {
    "ttng.tc_gen5_mma": _product,
    "ttng.tmem_store": _stored,
    "ttg.local_store": _stored,
    "ttng.async_tma_copy_global_to_local": _tma_load,
}


def _values(kernel: Kernel) -> Iterator[Value]:
    yield from kernel.arguments
    for loop in kernel.loops():
        yield from (value for c in loop.carried for value in (c.argument, c.result))
        yield from [loop.induction] if loop.induction else []
    yield from _results(kernel.body)


def _results(body: tuple[Operation | Loop, ...]) -> Iterator[Value]:
    for item in body:
        yield from _results(item.body) if isinstance(item, Loop) else item.results


def _numbers(body: tuple[Operation | Loop, ...]) -> Iterator[tuple[str, object]]:
    """Values of constants."""
    for item in body:
        if isinstance(item, Loop):
            yield from _numbers(item.body)
        elif item.opcode == "arith.constant" and item.results:
            yield item.results[0].name, item.attributes.get("value", "")


def _pipelined(operation: Operation) -> Exception:
    message = f"`{operation.opcode}` belongs to code that is pipelined or specialized already"
    remedy = "give the TTIR, or compile with num_stages=1"
    return fail("pipelined-ttgir", message, operation.location, remedy)
