"""The state of a set of CTAs that run together: registers, memories, barriers, and where its threads stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.access import Access
from backends.emulator.arena import Arena
from backends.emulator.asynchronous import Agents
from backends.emulator.atomics import Atomics
from backends.emulator.barriers import NamedBarriers
from backends.emulator.bulk import BulkCopies
from backends.emulator.calls_external import Externals
from backends.emulator.cluster import ClusterBarrier, Clusters
from backends.emulator.convergence import Convergence
from backends.emulator.copies import Copies
from backends.emulator.faults import LaunchFault
from backends.emulator.fronts import PARKED, Front, Mask, front_of, part_of
from backends.emulator.geometry import Geometry
from backends.emulator.matrix import Matrices
from backends.emulator.mbarriers import MBarriers
from backends.emulator.memory import GlobalSpace, LocalSpace, SharedSpace, Space
from backends.emulator.observer import Observer
from backends.emulator.program import Program
from backends.emulator.schedule import Scheduler
from backends.emulator.spaces import GLOBAL_BASE, LOCAL_BASE, SHARED_BASE, WARP_LANES
from backends.emulator.tcgen05 import TensorCores
from backends.emulator.tensor_maps import TensorMaps
from backends.emulator.tensor_memory import TensorMemory
from backends.emulator.warps import Warps
from backends.emulator.wgmma import WarpgroupMultiplies
from backends.emulator.wmma import WarpMatrices
from backends.findings import Finding, Thread

REGISTER_TYPES = {"p": np.bool_, "h": np.uint16, "w": np.uint32, "d": np.uint64, "q": np.complex128}
_WINDOWS = {
    "global": (GLOBAL_BASE, 1 << 63),
    "const": (GLOBAL_BASE, 1 << 63),
    "param": (GLOBAL_BASE, 1 << 63),
    "shared": (SHARED_BASE, GLOBAL_BASE),
    "local": (LOCAL_BASE, SHARED_BASE),
}


@dataclass(frozen=True)
class Settings:
    """How a launch is run.

    seed: of the scheduler's and the agents' choices. completion: `early`, `late` or `random`, when asynchronous
    copies and multiplications happen. engine: `numpy`, `native`, or `auto` (native where it can be had and no checker
    watches; the clock decides when it takes over, so only the other two always interleave a racy kernel in the same
    way). instruction_budget: warp-instructions; cost_limit_s: nominal, see `Scheduler.cost_s`; time_limit_s: wall
    clock. checks: names of checkers that watch, of
    `backends.device.CHECKS`. counters: whether the launch gives a profile; counted_ctas: how many CTAs at most, but one
    batch at least, NumPy then follows access by access; machine: whose caches they go through, "" for the first known
    of the kernel's architecture.
    """

    seed: int = 0
    completion: str = "late"
    engine: str = "auto"
    instruction_budget: int = 1 << 40
    cost_limit_s: float = inf
    time_limit_s: float = 600.0
    checks: frozenset[str] = frozenset()
    counters: bool = False
    counted_ctas: int = 256
    machine: str = ""


class Batch:
    """`ctas` CTAs of a launch; `numbers` are their linear indices in the grid, in order."""

    def __init__(
        self, program: Program, geometry: Geometry, numbers: Sequence[int], arena: Arena, shared_bytes: int,
        settings: Settings, observer: Observer | None = None,
    ) -> None:  # fmt: skip
        self.program = program
        self.geometry = geometry
        self.numbers = np.asarray(numbers, np.int64)
        self.ctas = len(self.numbers)
        self.settings = settings
        self.observer = observer
        self.site = 0
        self.native_state: Any = None
        self.kernel_addresses: Mapping[str, int] = {}
        self.parameters_address = 0
        self.warps_per_cta = -(-geometry.threads // WARP_LANES)
        self.instances = self.warps_per_cta * self.ctas
        self.views: dict[Any, tuple[NDArray[Any], ...]] = {}
        self.random = np.random.default_rng(settings.seed)
        shared = SharedSpace(self, shared_bytes, -(-max(shared_bytes, 16) // 1024) * 1024)
        self.shared = shared
        self.memory = GlobalSpace(self, arena)
        local = LocalSpace(self, program.local_bytes)
        spaces: dict[str, Space] = {"global": self.memory, "shared": shared, "local": local}
        self.access = Access(self, spaces)
        self.atomics = Atomics(self, spaces)
        self.scheduler = Scheduler(self)
        self.barriers = NamedBarriers(self)
        self.mbarriers = MBarriers(self, shared)
        self.agents = Agents(self)
        self.cluster_barrier = ClusterBarrier(self)
        self.clusters = Clusters(self, shared)
        self.copies = Copies(self, self.memory, shared)
        self.bulk = BulkCopies(self, self.memory, shared)
        self.matrices = Matrices(self, spaces)
        self.warp_matrices = WarpMatrices(self)
        self.warps = Warps(self)
        self.externals = Externals(self)
        self.tensor_maps = TensorMaps(self)
        self.convergence = Convergence(self)
        self.warpgroups = WarpgroupMultiplies(self, shared)
        self.tensor_memory = TensorMemory(self)
        self.tcgen05 = TensorCores(self, shared, self.tensor_memory)
        # An odd number of warps in a row: with a power of two a warp's registers would share few sets of the cache.
        self.row_instances = self.instances | 1
        self.registers: dict[str, NDArray[Any]] = {
            width: np.zeros((count, self.row_instances, WARP_LANES), REGISTER_TYPES[width])[:, : self.instances]
            for width, count in program.row_counts.items()
        }
        threads = np.arange(self.warps_per_cta * WARP_LANES).reshape(self.warps_per_cta, 1, WARP_LANES)
        self.thread_of = np.broadcast_to(threads, (self.warps_per_cta, self.ctas, WARP_LANES)).reshape(-1, WARP_LANES)
        self.alive: Mask = np.ascontiguousarray(self.thread_of < geometry.threads)
        for name, value in geometry.specials(self, program.specials).items():
            row = program.rows[name]
            self.registers[row.width][row.index] = value

    def cta_of(self, front: Front) -> NDArray[np.int64]:
        """Index in the batch of each instance's CTA, shape (n,)."""
        if "cta" not in front.cache:
            front.cache["cta"] = front.indices() % self.ctas
        found: NDArray[np.int64] = front.cache["cta"]
        return found

    def cluster_start(self, front: Front, address: NDArray[np.int64], stride_bytes: int) -> NDArray[np.int64]:
        """Start of the shared memory that cluster addresses name, shape (n, 32)."""
        return self.geometry.cluster_cta(self, front, address) * stride_bytes

    def in_space(self, address: NDArray[np.uint64], space: str) -> NDArray[np.bool_]:
        """Whether generic addresses lie in a state space's window."""
        start, end = _WINDOWS[space]
        return (address >= np.uint64(start)) & (address < np.uint64(end))

    # Control

    def start(self) -> None:
        """All threads stand at the first block."""
        front = front_of(self.alive, 0)
        if front is not None:
            self.scheduler.push(front)

    def retire(self, front: Front) -> None:
        """The threads of `front` have ended."""
        if self.observer is not None:
            self.observer.retire(front)
        if front.mask is None:
            self.alive[front.warps] = False
        else:
            self.alive[front.warps] &= ~front.mask
        self.barriers.recheck()
        self.convergence.recheck()
        self.cluster_barrier.recheck()

    def branch_by_table(
        self, front: Front, index: NDArray[np.uint32], blocks: Sequence[int], guard: Mask | None
    ) -> Any:
        """`brx.idx`: each lane goes where its index says; returns what a block's function returns."""
        active = front.full_mask(guard)
        index = np.broadcast_to(index, active.shape)
        if (index[active] >= len(blocks)).any():
            bad = active & (index >= len(blocks))
            lane = np.unravel_index(bad.argmax(), bad.shape)
            raise self.fault(
                "bad-branch",
                f"index {int(index[lane])} in a branch table of {len(blocks)}",
                front,
                lane,
                int(bad.sum()),
            )
        for number, block in enumerate(blocks):
            part = part_of(front, active & (index == number), block)
            if part:
                self.scheduler.push(part)
        rest = front.full_mask() & ~active
        part = part_of(front, rest, front.block + 1)
        if part:
            self.scheduler.push(part)
        return PARKED

    def trap(self, front: Front, guard: Mask | None, name: str) -> None:
        """Fail if any lane executes a `trap`."""
        active = front.full_mask(guard)
        if active.any():
            lane = np.unravel_index(active.argmax(), active.shape)
            raise self.fault("trap", f"`{name}` was executed", front, lane, int(active.sum()))

    def yield_to_others(self, front: Front, block: int) -> Any:
        """Go on at `block` after the other fronts had their turn."""
        self.scheduler.defer(front.at(block))
        return PARKED

    # Faults

    def thread(self, front: Front, lane: tuple[Any, ...]) -> Thread:
        """The thread of (instance of the front, lane)."""
        return self.thread_at(int(front.indices()[int(lane[0])]), int(lane[1]))

    def thread_at(self, instance: int, lane: int) -> Thread:
        """The thread in a lane of a warp instance."""
        number = int(self.numbers[instance % self.ctas])
        linear = instance // self.ctas * WARP_LANES + lane
        return Thread(self.geometry.cta_position(number), self.geometry.thread_position(linear))

    def fault(self, rule: str, message: str, front: Front, lane: tuple[Any, ...], count: int = 1) -> LaunchFault:
        """The fault of a lane at the instruction that runs."""
        site = self.program.site(self.site)
        return LaunchFault(Finding(rule, message, site, self.thread(front, lane), count=count))

    def fault_here(self, rule: str, message: str) -> LaunchFault:
        """The fault of an asynchronous operation, at the instruction that issued it."""
        return LaunchFault(Finding(rule, message, self.program.site(self.site)))

    def fault_misaligned(
        self, front: Front, space: str, address: NDArray[np.int64], nbytes: int, active: Mask | None
    ) -> None:
        """Raise for the first address that is not a multiple of `nbytes`."""
        bad = (address & (nbytes - 1)) != 0
        bad = bad if active is None else bad & active
        lane = np.unravel_index(bad.argmax(), bad.shape)
        message = f"{nbytes} bytes at {space} address {int(address[lane]):#x}, which is not a multiple of {nbytes}"
        raise self.fault("misaligned", message, front, lane, int(bad.sum()))
