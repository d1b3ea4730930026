"""The slice of a program that decides where its threads go and what they access; the rest need not run to be counted.

A backward slice (Weiser 1984) whose criterion is every branch, every barrier and every address. Values that are only
stored or multiplied fall away, and with them most of a kernel: no data is needed then, unless what is loaded decides
an address or a branch itself. Memory is followed by state space: where a load's value is wanted, so are all stores to
the space; where it always goes to one place of shared memory, those that always go there; global memory that is
reached through different parameters is different memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from backends.emulator.convergence import meeting, members_of
from backends.emulator.liveness import successors
from backends.emulator.program import Program, leaves
from backends.model.counts.places import are_apart, static_place
from backends.model.counts.roles import ALLOCATION, ANCHOR, ATOMIC, GENERIC, LOAD, STORE, VALUE, Role, role_of
from backends.ptx.syntax import Register, Symbol

_FIXED = ("param", "const")
_ADDRESS_BYTES = 8
_ASYNCHRONOUS = ("wgmma", "tcgen05")
# Loads by which CTAs see what others have stored.
_ORDERED = frozenset(["volatile", "relaxed", "acquire", "mmio"])


@dataclass(frozen=True)
class Slice:
    """A sliced program. `kept`: instructions that run with their values; `accesses`: those that only tell where they
    go. `spaces`: state spaces of which stored values are wanted. `data`: parameters through which data is read that
    decides addresses or branches, None in it where that could not be told. `watchful`: instructions by which a CTA may
    wait for others. `assumed`: branches that are taken to be taken always, see `_optional`.
    """

    program: Program
    roles: tuple[Role, ...]
    kept: frozenset[int]
    accesses: frozenset[int]
    spaces: frozenset[str]
    data: frozenset[str | None]
    watchful: tuple[int, ...]
    assumed: frozenset[int]

    @property
    def needs_memory(self) -> bool:
        """Whether what CTAs store in global memory decides what others, or later ones, do."""
        stores = (self.roles[i] for i in self.kept if self.roles[i].kind in (STORE, ATOMIC))
        return any(role.space in ("global", GENERIC) for role in stores)

    def needed(self, accesses: frozenset[int]) -> tuple[frozenset[int], ...]:
        """Per block, the instructions that must run where nobody looks at accesses but these."""
        return tuple(self._needed(number, out, accesses) for number, out in enumerate(self._live))

    def _needed(self, number: int, out: frozenset[str], accesses: frozenset[int]) -> frozenset[int]:
        wanted, run = set(out), set()
        for index in reversed(self.program.blocks[number]):
            role = self.roles[index]
            if index in self.kept and (self.is_fixed(index) or role.writes & wanted):
                run.add(index)
                wanted |= role.reads
            elif index in accesses:
                wanted |= role.places
        return frozenset(run)

    def is_fixed(self, index: int) -> bool:
        """Whether an instruction runs although no register of its is wanted."""
        role = self.roles[index]
        return role.kind in (ANCHOR, STORE, ALLOCATION) or (role.kind == ATOMIC and overlaps(role.space, self.spaces))

    @cached_property
    def _live(self) -> list[frozenset[str]]:
        """Registers that are read after each block, the classical data flow."""
        blocks = self.program.blocks
        uses = [self._uses(number) for number in range(len(blocks))]
        following = [successors(self.program, number) for number in range(len(blocks))]
        live = [set(use) for use, _ in uses] + [set()]
        changed = True
        while changed:
            changed = False
            for number in reversed(range(len(blocks))):
                out = set().union(*(live[s] for s in following[number]))
                new = (out - uses[number][1]) - live[number]
                live[number] |= new
                changed |= bool(new)
        return [frozenset().union(*(live[s] for s in after)) for after in following]

    def _uses(self, number: int) -> tuple[set[str], set[str]]:
        """(read before they are written, written by all lanes) in a block."""
        read, written = set(_members(self.program, number)), set[str]()
        for index in self.program.blocks[number]:
            role = self.roles[index]
            if index in self.kept:
                read |= role.reads - written
                if self.program.instructions[index].guard is None:
                    written |= role.writes
            elif index in self.accesses:
                read |= role.places - written
        return read, written


def overlaps(space: str, spaces: frozenset[str] | set[str]) -> bool:
    """Whether memory of a space may be of one of some others."""
    return space in spaces or (space == GENERIC and bool(spaces)) or GENERIC in spaces


def slice_program(program: Program, feeds: Mapping[int, frozenset[int]] | None = None) -> Slice:
    """The slice of a program. feeds: loads from shared memory -> the stores from which their values may come."""
    return _Slicer(program, feeds or {}).slice()


def space_of_store(role: Role) -> str:
    """The space that an instruction stores to, "" for none."""
    return "shared" if role.kind == ALLOCATION else role.space if role.kind in (STORE, ATOMIC) else ""


def _members(program: Program, block: int) -> frozenset[str]:
    """The register that says which lanes a block waits for where it begins."""
    index = meeting(program, block)
    members = None if index is None else members_of(program.instructions[index])
    return frozenset([members.name] if isinstance(members, Register) else [])


def _optional(program: Program, roles: tuple[Role, ...]) -> Iterator[int]:
    """Branches forward over code that neither touches memory nor waits: special cases of arithmetic.

    Such code handles what numbers rarely are (infinities, denormals, large arguments of sines). Where only data tells
    whether it runs, it is taken not to.
    """
    for number, block in enumerate(program.blocks):
        last = program.instructions[block[-1]]
        if last.base != "bra" or last.guard is None:
            continue
        target = program.labels[last.operands[0].name]  # type: ignore[union-attr]
        skipped = [i for b in program.blocks[number + 1 : target] for i in b]
        if skipped and all(roles[i].kind == VALUE or roles[i].space in _FIXED for i in skipped):
            yield block[-1]


class _Slicer:
    def __init__(self, program: Program, feeds: Mapping[int, frozenset[int]]) -> None:
        self.program = program
        self.feeds = feeds
        self.roles = tuple(role_of(program, i) for i in program.instructions)
        self.definitions: dict[str, list[int]] = defaultdict(list)
        for index, role in enumerate(self.roles):
            for name in role.writes:
                self.definitions[name].append(index)
        self.kept: set[int] = set()
        self.spaces: set[str] = set()
        self.wanted_from: set[str | None] = set()
        self.seen: set[str] = set()
        self.todo: list[str] = []

    def slice(self) -> Slice:
        accesses = {i for i, r in enumerate(self.roles) if r.space and r.space not in _FIXED}
        optional = set(_optional(self.program, self.roles))
        for index, role in enumerate(self.roles):
            if role.kind == ANCHOR and index not in optional:
                self._keep(index)
            elif index in accesses:
                self._want(role.places)
        for number in range(len(self.program.blocks)):
            self._want(_members(self.program, number))
        self._close()
        assumed = frozenset(i for i in optional if self._needs_more_data(self.roles[i].reads))
        for index in optional - assumed:
            self._keep(index)
        self._close()
        self._assume(assumed)
        read = [i for i in sorted(self.kept) if self._reads_data(i)]
        data = frozenset(name for i in read for name in self._parameters(self.roles[i].places))
        return Slice(
            self.program, self.roles, frozenset(self.kept), frozenset(accesses), frozenset(self.spaces), data,
            tuple(i for i in read if self._is_ordered(i)), assumed,
        )  # fmt: skip

    def _close(self) -> None:
        while self.todo:
            for index in self.definitions[self.todo.pop()]:
                self._keep(index)

    def _assume(self, branches: frozenset[int]) -> None:
        self.kept |= branches
        nothing = Role(ANCHOR, frozenset(), frozenset(), frozenset())
        self.roles = tuple(nothing if i in branches else role for i, role in enumerate(self.roles))

    def _needs_more_data(self, names: frozenset[str]) -> bool:
        """Whether these registers depend on memory of which the slice does not want the values as it is."""
        return any(self._is_data(i) and i not in self.kept for i in self._before(names))

    def _is_data(self, index: int) -> bool:
        """Whether an instruction brings values out of memory; asynchronous products take factors from there."""
        role = self.roles[index]
        is_load = role.kind in (LOAD, ATOMIC) and role.space not in _FIXED
        return is_load or (role.kind == VALUE and self.program.instructions[index].base in _ASYNCHRONOUS)

    def _before(self, names: frozenset[str], past_loads: bool = True) -> set[int]:
        """All instructions from which registers are computed; past_loads: those from which addresses are, too."""
        seen, todo, found = set(names), list(names), set[int]()
        while todo:
            for index in self.definitions[todo.pop()]:
                found.add(index)
                if not past_loads and self._is_data(index):
                    continue
                new = self.roles[index].reads - seen
                seen |= new
                todo += new
        return found

    def _want(self, names: frozenset[str]) -> None:
        self.todo += names - self.seen
        self.seen |= names

    def _keep(self, index: int) -> None:
        if index in self.kept:
            return
        self.kept.add(index)
        role = self.roles[index]
        self._want(role.reads)
        is_constant = role.space in _FIXED or "nc" in self.program.instructions[index].parts
        if role.kind not in (LOAD, ATOMIC) or is_constant or self._keep_same_place(index):
            return
        sources = self._parameters(role.places) if role.space == "global" else {None}
        if role.space not in self.spaces or not sources <= self.wanted_from:
            self.spaces.add(role.space)
            self.wanted_from |= sources
            self._keep_stores()

    def _keep_same_place(self, index: int) -> bool:
        """Keep the stores that are known to feed a load; whether there are any."""
        same = self.feeds.get(index) or self._at_same_place(index)
        for store in same:
            self._keep(store)
        return bool(same)

    def _at_same_place(self, index: int) -> frozenset[int]:
        """Stores that always go to the place of a load which does so too."""
        place = self._static_place(index)
        if place is None:
            return frozenset()
        stores = [i for i, r in enumerate(self.roles) if space_of_store(r) == "shared"]
        places = {i: self._static_place(i) for i in stores}
        return frozenset(i for i, p in places.items() if p is not None and not are_apart(p, place))

    def _static_place(self, index: int) -> range | None:
        if "shared" not in (self.roles[index].space, space_of_store(self.roles[index])):
            return None
        return static_place(self.program, self.definitions, index)

    def _keep_stores(self) -> None:
        for index, role in enumerate(self.roles):
            space = space_of_store(role)
            if space and overlaps(space, self.spaces) and not self._is_elsewhere(index):
                self._keep(index)

    def _is_elsewhere(self, index: int) -> bool:
        """Whether a store goes through other parameters than all loads that matter: those are other buffers."""
        if self.roles[index].space != "global" or None in self.wanted_from or "global" not in self.spaces:
            return False
        found = self._parameters(self.roles[index].places)
        return None not in found and not found & self.wanted_from

    def _reads_data(self, index: int) -> bool:
        """Whether an instruction whose value is wanted reads global memory."""
        role = self.roles[index]
        is_copy = role.kind == STORE and self.program.instructions[index].base == "cp"
        return is_copy or (role.kind in (LOAD, ATOMIC) and role.space in ("global", GENERIC))

    def _is_ordered(self, index: int) -> bool:
        role = self.roles[index]
        wanted = role.writes & self.seen
        is_ordered = role.kind == ATOMIC or bool(_ORDERED.intersection(self.program.instructions[index].parts))
        return bool(wanted) and is_ordered

    def _parameters(self, names: frozenset[str]) -> set[str | None]:
        """Parameters from which registers are computed; None where there are none."""
        found: set[str | None] = set().union(*map(self._named, self._before(names, past_loads=False)))
        return found or {None}

    def _named(self, index: int) -> set[str]:
        """Parameters wide enough for an address that an instruction names."""
        symbols = (leaf for leaf in leaves(self.program.instructions[index]) if isinstance(leaf, Symbol))
        sizes = {symbol.name: self.program.parameters.get(symbol.name, (0, 0))[1] for symbol in symbols}
        return {name for name, nbytes in sizes.items() if nbytes >= _ADDRESS_BYTES}
