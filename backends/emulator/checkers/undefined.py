"""Values that nothing has written, from where tensor memory is read to where they are used.

Compilers load tensor memory ahead of a loop that may run no times, compute, and drop the result by a predicate: reading
is no error there, using is. A value is undefined in a lane if an operand is; a `selp` takes that of what it chooses;
shared memory keeps it. It is used where it goes to other memory or to a tensor core, is an address, or decides what
runs. All registers of a load that touches some unwritten cell count as undefined, in all lanes.
Source: Seward and Nethercote, Using Valgrind to detect undefined value errors (USENIX 2005), for when to report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.checkers.log import Findings
from backends.emulator.checkers.registers import defined, registers_in, used
from backends.emulator.checkers.shadow import SharedShadow
from backends.emulator.fronts import Front, Mask
from backends.emulator.program import Program, Row
from backends.emulator.spaces import WARP_LANES
from backends.findings import Thread
from backends.ptx.syntax import Instruction

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
# Their results do not come from their register operands: what those hold is used.
_USES = frozenset({"ld", "ldu", "atom", "ldmatrix", "tcgen05", "call", "mbarrier", "mapa", "mma", "wmma"})
_STORES = frozenset({"st", "stmatrix"})
# Each lane gets something of every other.
_COLLECTIVE = frozenset({"shfl", "redux", "vote", "match"})
_MATRICES = frozenset({"ldmatrix", "stmatrix"})


@dataclass(frozen=True)
class _Step:
    """An instruction: rows that must hold values, rows that it computes with or stores, rows that it writes.

    `chosen`: the two operands of a `selp`.
    """

    base: str
    needs: tuple[Row, ...]
    sources: tuple[Row, ...]
    chosen: tuple[Row | None, ...]
    results: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class _Running:
    """The instruction that runs: its front, and the lanes whose operands are undefined."""

    front: Front
    index: int
    step: _Step
    value: Mask


class UndefinedValues:
    """Follows a batch. `rows`: the registers that are undefined in some lane, as masks (instances, 32)."""

    def __init__(self, batch: Batch, findings: Findings, shared: SharedShadow) -> None:
        self.batch = batch
        self.findings = findings
        self.shared = shared
        self.rows: dict[Row, Mask] = {}
        self.origin = (0, "")
        self._steps: dict[int, _Step] = {}
        self._running: _Running | None = None

    @property
    def some(self) -> bool:
        """Whether there are any."""
        return bool(self.rows) or self.shared.undefined is not None

    def load(self, instances: Array, site: int, place: str) -> None:
        """Warps load from `place`, which nothing has written, by the instruction `site`."""
        program = self.batch.program
        self.origin = (site, place)
        for register in registers_in(program.instructions[site].operands[0]):
            self._mask(program.rows[register.name])[instances] = True

    def step(self, front: Front, index: int, guard: Mask | None, predicate: Mask | None) -> None:
        """`front` is about to execute an instruction."""
        step = self._step(index)
        active = front.full_mask(guard)
        needed = self._any(step.needs, front)
        if needed is not None:
            self._report(front, index, needed & active)
        value = self._value(step, front, predicate) & active
        if step.base in _COLLECTIVE | _MATRICES:
            value = np.repeat(value.any(axis=1), WARP_LANES).reshape(value.shape)
        self._running = _Running(front, index, step, value)
        for row in step.results:
            self._set(row, front, active, value)

    def accessed(self, space: str, instance: Array, lane: Array, cells: Array, stores: bool) -> None:
        """The instruction that runs accesses `cells` (n, units) by warps and lanes (n,)."""
        running = self._running
        if running is None or running.index != self.batch.site:
            return
        if space != "shared":
            if stores:
                self._report(running.front, running.index, running.value)
        elif stores:
            self._store(running, instance, lane, cells)
        elif self.shared.undefined is not None:
            self._load(running, instance, lane, np.asarray(self.shared.undefined[cells].any(axis=1)))

    def engine_reads(self, instance: Array, cells: Array) -> None:
        """An asynchronous engine reads `cells` of shared memory."""
        if self.shared.undefined is not None and self.shared.undefined[cells].any():
            thread = self.batch.thread_at(int(instance[0]), 0)
            self._add(self.batch.site, thread, int(self.shared.undefined[cells].any(axis=1).sum()))

    def _store(self, running: _Running, instance: Array, lane: Array, cells: Array) -> None:
        lanes = np.zeros((self.batch.instances, WARP_LANES), np.bool_)
        lanes[running.front.warps] = running.value
        undefined = lanes[instance, lane]
        if self.shared.undefined is None:
            if not undefined.any():
                return
            self.shared.undefined = np.zeros(len(self.shared.write), np.bool_)
        self.shared.undefined[cells] = undefined[:, None]

    def _load(self, running: _Running, instance: Array, lane: Array, undefined: Array) -> None:
        lanes = np.zeros((self.batch.instances, WARP_LANES), np.bool_)
        lanes[instance, lane] = undefined
        if running.step.base in _MATRICES:
            lanes[:] = np.asarray(lanes.any(axis=1))[:, None]
        if lanes.any():
            for row in running.step.results:
                self._mask(row)[:] |= lanes

    def _step(self, index: int) -> _Step:
        if index not in self._steps:
            self._steps[index] = _step_of(self.batch.program, self.batch.program.instructions[index])
        return self._steps[index]

    def _any(self, rows: Iterable[Row], front: Front) -> Mask | None:
        parts = [self.rows[row][front.warps] for row in rows if row in self.rows]
        return np.logical_or.reduce(parts) if parts else None

    def _value(self, step: _Step, front: Front, predicate: Mask | None) -> Mask:
        """Which lanes compute with something undefined."""
        nothing = np.zeros((front.n, WARP_LANES), np.bool_)
        found = self._any(step.sources, front)
        value = nothing if found is None else found
        if not step.chosen:
            return value
        first, second = (self.rows[r][front.warps] if r in self.rows else nothing for r in step.chosen)
        return value | np.where(nothing if predicate is None else predicate, first, second)

    def _mask(self, row: Row) -> Mask:
        return self.rows.setdefault(row, np.zeros((self.batch.instances, WARP_LANES), np.bool_))

    def _set(self, row: Row, front: Front, active: Mask, value: Mask) -> None:
        if row not in self.rows and not value.any():
            return
        mask = self._mask(row)
        mask[front.warps] = np.where(active, value, mask[front.warps])
        if not mask.any():
            del self.rows[row]

    def _report(self, front: Front, index: int, lanes: Mask) -> None:
        if lanes.any():
            lane = np.unravel_index(lanes.argmax(), lanes.shape)
            self._add(index, self.batch.thread(front, lane), int(lanes.sum()))

    def _add(self, index: int, thread: Thread, count: int) -> None:
        site, place = self.origin
        message = f"{place} was read when nothing had written it, and what was read is used"
        program = self.batch.program
        self.findings.add("uninitialised", message, program.site(index), thread, program.site(site), count)


def _step_of(program: Program, instruction: Instruction) -> _Step:
    def rows(names: Iterable[str]) -> tuple[Row, ...]:
        return tuple(program.rows[name] for name in sorted(names))

    base, results = instruction.base, rows(defined(instruction))
    guard = {instruction.guard.register.name} if instruction.guard else set()
    if base in _STORES:
        address, *values = ({r.name for r in registers_in(o)} for o in instruction.operands)
        return _Step(base, rows(address | guard), rows(set().union(*values)), (), ())
    if base == "selp":
        first, second = (next(registers_in(o), None) for o in instruction.operands[1:3])
        chosen = tuple(program.rows[r.name] if r else None for r in (first, second))
        return _Step(base, (), rows(guard | {r.name for r in registers_in(instruction.operands[3])}), chosen, results)
    if not results or base in _USES:
        return _Step(base, rows(used(instruction)), (), (), results)
    return _Step(base, (), rows(used(instruction)), (), results)
