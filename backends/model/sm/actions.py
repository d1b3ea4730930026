"""What an instruction does besides its issue, by the name of its class: how it is prepared, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.model.sm import bulk, matrix, memory, sync
from backends.model.sm.program import Record
from backends.model.sm.state import Warp, signal


def _latency(_sm: Any, warp: Warp, record: Record, now: int) -> None:
    """Signal the scoreboards after the latency of the class."""
    signal(warp, record, now + record.latency, now + record.latency)


_Action = Callable[..., None] | None

ACTIONS: dict[str, tuple[_Action, _Action]] = {
    "plain": (None, None),
    "latency": (None, _latency),
    "shared": (memory.prepare_shared, memory.shared),
    "global": (memory.prepare_global, memory.global_access),
    "async_copy": (memory.prepare_async_copy, memory.async_copy),
    "constant": (memory.prepare_constant, memory.constant),
    "shuffle": (memory.prepare_shuffle, memory.shuffle),
    "commit_copies": (None, sync.commit_copies),
    "wait_copies": (sync.prepare_wait_copies, sync.wait_copies),
    "barrier": (sync.prepare_barrier, sync.barrier),
    "cluster_barrier": (sync.prepare_cluster_barrier, sync.cluster_barrier),
    "membar": (sync.prepare_membar, sync.membar),
    "fence": (sync.prepare_fence, sync.membar),
    "wgmma_wait": (sync.prepare_wgmma_wait, sync.wgmma_wait),
    "mbarrier": (sync.prepare_mbarrier, sync.mbarrier),
    "setmaxnreg": (sync.prepare_setmaxnreg, sync.setmaxnreg),
    "sleep": (sync.prepare_sleep, sync.sleep),
    "mma": (matrix.prepare_mma, matrix.mma),
    "wgmma": (matrix.prepare_wgmma, matrix.wgmma),
    "tcgen05": (matrix.prepare_tcgen05, matrix.tcgen05),
    "tcgen05_copy": (matrix.prepare_tcgen05_copy, matrix.tcgen05_copy),
    "tcgen05_commit": (matrix.prepare_commit, matrix.tcgen05_commit),
    "tmem_load": (matrix.prepare_tmem_load, matrix.tmem_access),
    "tmem_store": (matrix.prepare_tmem_store, matrix.tmem_access),
    "bulk": (bulk.prepare_bulk, bulk.bulk),
}
