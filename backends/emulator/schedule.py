"""Which front runs next: lowest block first so that threads meet again, with a random choice now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backends.emulator.faults import LaunchFault
from backends.emulator.fronts import Front, merged, part_of
from backends.findings import Finding

if TYPE_CHECKING:
    from backends.emulator.batch import Batch
    from backends.emulator.native.engine import NativeRegionBlock
    from backends.emulator.translate.block import Block

    AnyBlock: TypeAlias = Block | NativeRegionBlock
    Reconsider: TypeAlias = Callable[[float], tuple[AnyBlock, ...] | None]

# Always taking the lowest block starves threads for which a spinning one waits; this often another is taken.
_FAIRNESS_PERIOD = 32
_CLOCK_PERIOD = 256
# Nominal seconds of a step and of an instruction of a warp, with NumPy and natively: about what they take on a core of
# some 3 GHz. They are the unit of limits that must not depend on how busy the machine is.
STEP_S = 2e-5
WARP_INSTRUCTION_S = 8e-8
NATIVE_INSTRUCTION_S = 1e-8
_RECONSIDER_S = 0.05


class Scheduler:
    """The fronts of a batch that can go on, those that have stepped back, and the budget of the launch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.ready: dict[int, list[Front]] = {}
        self.deferred: list[Front] = []
        self.forced: list[Front] = []
        self.warp_instructions = 0
        self.native_instructions = 0
        # What NumPy has run, per block; a native block counts for itself.
        self.block_warps = [0] * len(batch.program.blocks)
        self.block_threads = [0] * len(batch.program.blocks)
        # The same by warp, shape (blocks, instances), where somebody has asked for it.
        self.warp_counts: NDArray[np.int32] | None = None
        self._steps = 0
        self._turns = 0
        self._earlier_instructions = 0
        self._earlier_cost_s = 0.0
        self._deadline_s = time.monotonic() + batch.settings.time_limit_s

    def go_on(self, executed: int, started_s: float, cost_s: float = 0.0) -> None:
        """Count from what earlier batches of the launch have used: warp instructions, time since `started_s`, cost."""
        self.warp_instructions = self._earlier_instructions = executed
        self._earlier_cost_s = cost_s
        self._deadline_s = started_s + self.batch.settings.time_limit_s

    def push(self, front: Front) -> None:
        """`front` can go on; past the last block it has ended."""
        if front.block >= len(self.batch.program.blocks):
            self.batch.retire(front)
            return
        self.ready.setdefault(front.block, []).append(front)

    def defer(self, front: Front) -> None:
        """`front` can go on, but others first."""
        self.deferred.append(front)

    def force(self, front: Front) -> None:
        """`front` runs its block next, with NumPy."""
        self.forced.append(front)

    @property
    def steps(self) -> int:
        """Blocks that fronts have executed, each for all of its warps at once."""
        return self._steps

    @property
    def executed(self) -> int:
        """Warp instructions of the launch so far."""
        return self.warp_instructions + self.native_instructions

    @property
    def cost_s(self) -> float:
        """Nominal seconds of the launch so far; the same everywhere unless the native engine takes over by itself."""
        own = self.warp_instructions - self._earlier_instructions
        computed_s = own * WARP_INSTRUCTION_S + self.native_instructions * NATIVE_INSTRUCTION_S
        return self._earlier_cost_s + self._steps * STEP_S + computed_s

    def run(self, blocks: tuple[AnyBlock, ...], reconsider: Reconsider | None = None) -> None:
        """Run until every thread has ended; raises LaunchFault for a deadlock or a spent budget.

        `reconsider` is told of the seconds spent now and then, and may give other blocks to go on with.
        """
        since_s = time.monotonic()
        while True:
            self._run_forced(blocks)
            front = self._next()
            if front is not None:
                self._follow(front, blocks)
            elif not self._wake():
                break
            if reconsider is not None and time.monotonic() > since_s + _RECONSIDER_S:
                blocks = reconsider(time.monotonic() - since_s) or blocks
                since_s = time.monotonic()
        if reconsider is not None:
            reconsider(time.monotonic() - since_s)

    def _run_forced(self, blocks: tuple[AnyBlock, ...]) -> None:
        while self.forced:
            front = self.forced.pop()
            twin = blocks[front.block].numpy
            self._account(front, twin)
            onward = self._after(front, twin.run(self.batch, front))
            if onward is not None:
                self.push(onward)

    def _next(self) -> Front | None:
        if not self.ready:
            return None
        self._turns += 1
        if self._turns % _FAIRNESS_PERIOD == 0:
            self._spend_turn()
            block = int(self.batch.random.choice(list(self.ready)))
        else:
            block = min(self.ready)
        fronts = self.ready.pop(block)
        return fronts[0] if len(fronts) == 1 else merged(fronts, self.batch.instances, block)

    def _spend_turn(self) -> None:
        for front in self.deferred:
            self.push(front)
        self.deferred.clear()
        self.batch.agents.chance()

    def _follow(self, front: Front | None, blocks: tuple[AnyBlock, ...]) -> None:
        """Run a front from block to block while no other has a claim to go first."""
        while front is not None:
            block = blocks[front.block]
            self._account(front, block)
            front = self._after(front, block.run(self.batch, front))
            if front is not None and (self.ready or self._steps % _CLOCK_PERIOD == 0):
                self.push(front)
                return

    def _account(self, front: Front, block: AnyBlock) -> None:
        self._steps += 1
        if block.length:
            self.count(front)
        if self.batch.observer is not None:
            self.batch.observer.block(front, block.number)
        if self.executed > self.batch.settings.instruction_budget:
            what = f"more than {self.batch.settings.instruction_budget} warp instructions"
            raise self._spent("budget-spent", front, what)
        # The first step of a batch is one of them: a launch may be many short ones.
        if self._steps % _CLOCK_PERIOD == 1:
            self._check_time(front)

    def _check_time(self, front: Front) -> None:
        settings = self.batch.settings
        if self.cost_s > settings.cost_limit_s:
            raise self._spent("budget-spent", front, f"more than {settings.cost_limit_s:g} s of an idle machine")
        if time.monotonic() > self._deadline_s:
            raise self._spent("time-limit", front, f"more than {settings.time_limit_s:g} s")

    def count(self, front: Front, times: int = 1) -> None:
        """The block of `front` was executed; with `times` -1 it was not after all."""
        block, warps = front.block, times * front.n
        self.warp_instructions += len(self.batch.program.blocks[block]) * warps
        self.block_warps[block] += warps
        self.block_threads[block] += times * front.lanes()
        if self.warp_counts is not None:
            self.warp_counts[block, front.warps] += times

    def _spent(self, rule: str, front: Front, what: str) -> LaunchFault:
        self.batch.site = self.batch.program.blocks[front.block].start
        mask = front.full_mask()
        lane = np.unravel_index(mask.argmax(), mask.shape)
        return self.batch.fault(rule, f"the kernel needs {what}; it may never end", front, lane)

    def _after(self, front: Front, following: Any) -> Front | None:
        if following is None:
            return self._go(front, front.block + 1)
        if isinstance(following, int):
            return self._go(front, following)
        if isinstance(following, tuple):
            return self._branch(front, *following)
        return None

    def _go(self, front: Front, block: int) -> Front | None:
        if block < len(self.batch.program.blocks):
            return front.at(block)
        self.batch.retire(front)
        return None

    def _branch(self, front: Front, taken: Any, block: int) -> Front | None:
        if front.mask is not None:
            taken = taken & front.mask
        if self.batch.observer is not None:
            self.batch.observer.branch(front, taken)
        count = int(np.count_nonzero(taken))
        if count == 0:
            return self._go(front, front.block + 1)
        if count == front.lanes():
            return self._go(front, block)
        there = part_of(front, taken, block)
        here = part_of(front, ~taken if front.mask is None else front.mask & ~taken, front.block + 1)
        for part in (there, here):
            assert part is not None
            self.push(part)
        return None

    def _wake(self) -> bool:
        """Make something ready again; False when all threads have ended."""
        batch = self.batch
        if batch.mbarriers.wake() or self.ready:
            return True
        if batch.agents.advance():
            return True
        if self.deferred:
            self._spend_turn()
            return True
        if batch.convergence.wake():
            return True
        if not batch.alive.any():
            if batch.observer is not None:
                batch.observer.finish()
            batch.agents.finish()
            leak = batch.tensor_memory.leak()
            if leak is not None:
                raise LaunchFault(leak)
            return False
        raise LaunchFault(self._deadlock())

    def _deadlock(self) -> Finding:
        batch = self.batch
        waiters = (batch.barriers, batch.mbarriers, batch.tensor_memory, batch.convergence, batch.cluster_barrier)
        waits = [line for waiter in waiters for line in waiter.waiting()]
        message = "no thread can go on: " + ("; ".join(waits) or "all wait")
        return Finding("deadlock", message, batch.program.site(batch.site))
