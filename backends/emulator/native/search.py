"""`find_allocation`: which allocation an access lies in, looked for among all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir

from backends.emulator.native.state import State
from backends.emulator.native.types import I8, I32, I64, LANES, POINTER

Value = Any


def declare(module: ir.Module) -> ir.Function:
    """`find_allocation(state*, offsets*, active, nbytes, cache*) -> 1 or 0`, still without a body."""
    kind = ir.FunctionType(I32, [POINTER, POINTER, I32, I64, POINTER])
    return ir.Function(module, kind, "find_allocation")


def define(function: ir.Function) -> None:
    """Look every active lane's offset up in all allocations, and remember the last one's range in `cache`."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    search = _Search(function, builder, State(function.args[0]))
    for name in ("lane", "check", "scan", "compare", "hit", "miss", "next", "found", "lost"):
        search.blocks[name] = function.append_basic_block(name)
    offset, lane = search.each_lane()
    index = search.each_range()
    search.compare(offset, index)
    search.step(lane, index)
    for name, result in (("found", 1), ("lost", 0)):
        builder.position_at_end(search.blocks[name])
        builder.ret(I32(result))


@dataclass(frozen=True)
class _Search:
    """The function under construction: a loop over lanes, and in it one over allocations."""

    function: ir.Function
    builder: ir.IRBuilder
    state: State
    blocks: dict[str, ir.Block] = field(default_factory=dict)

    def each_lane(self) -> tuple[Value, Value]:
        """(offset of the lane, its number) of the outer loop; lanes that take no part are passed over."""
        builder, blocks = self.builder, self.blocks
        _, offsets, active, *_ = self.function.args
        before = builder.block
        builder.branch(blocks["lane"])
        builder.position_at_end(blocks["lane"])
        lane = builder.phi(I32)
        lane.add_incoming(I32(0), before)
        builder.cbranch(builder.icmp_unsigned("<", lane, I32(LANES)), blocks["check"], blocks["found"])
        builder.position_at_end(blocks["check"])
        bit = builder.and_(builder.lshr(active, lane), I32(1))
        offset = builder.load(_word(builder, offsets, lane), typ=I64, align=8)
        builder.cbranch(builder.icmp_unsigned("==", bit, I32(0)), blocks["next"], blocks["scan"])
        return offset, lane

    def each_range(self) -> Value:
        """Number of the allocation in the inner loop."""
        builder, blocks = self.builder, self.blocks
        builder.position_at_end(blocks["scan"])
        index = builder.phi(I64)
        index.add_incoming(I64(0), blocks["check"])
        count = self.state.load(builder, "allocations")
        builder.cbranch(builder.icmp_unsigned("<", index, count), blocks["compare"], blocks["lost"])
        return index

    def compare(self, offset: Value, index: Value) -> None:
        """Whether the access lies in the allocation; if so its range is remembered."""
        builder, blocks = self.builder, self.blocks
        nbytes, cache = self.function.args[3:]
        builder.position_at_end(blocks["compare"])
        bases = [self.state.pointer(builder, name) for name in ("starts", "ends")]
        low, high = (builder.load(_word(builder, base, index), typ=I64, align=8) for base in bases)
        from_start = builder.icmp_signed(">=", offset, low)
        to_end = builder.icmp_signed("<=", offset, builder.sub(high, nbytes))
        builder.cbranch(builder.and_(from_start, to_end), blocks["hit"], blocks["miss"])
        builder.position_at_end(blocks["hit"])
        builder.store(low, cache, align=8)
        builder.store(high, _word(builder, cache, I64(1)), align=8)
        builder.branch(blocks["next"])

    def step(self, lane: Value, index: Value) -> None:
        """On to the next allocation, or the next lane."""
        builder, blocks = self.builder, self.blocks
        builder.position_at_end(blocks["miss"])
        index.add_incoming(builder.add(index, I64(1)), blocks["miss"])
        builder.branch(blocks["scan"])
        builder.position_at_end(blocks["next"])
        lane.add_incoming(builder.add(lane, I32(1)), blocks["next"])
        builder.branch(blocks["lane"])


def _word(builder: ir.IRBuilder, base: Value, index: Value) -> Value:
    return builder.gep(base, [builder.mul(index, index.type(8))], source_etype=I8)
