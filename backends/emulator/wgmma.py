"""`wgmma`: asynchronous products of a warpgroup, chained along k and done in one multiplication at the wait."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.emulator.fronts import Front, Mask
from backends.emulator.memory import SharedSpace
from backends.emulator.tensor.descriptors import MatrixDescriptor, decode_wgmma
from backends.emulator.tensor.fragments import Fragment
from backends.emulator.tensor.multiply import multiply
from backends.emulator.tensor.swizzle import UNIT_BYTES, load_matrix, matrix_units

if TYPE_CHECKING:
    from backends.emulator.batch import Batch

Array = NDArray[Any]
KIND = "wgmma"
GROUP_WARPS = 4
M = 64


@dataclass(frozen=True)
class WarpgroupMultiply:
    """One `wgmma.mma_async`: N and k, element types, where A and B lie and how; `rows` are the accumulator's registers.

    `a_rows`: the registers of A, or None where A is in shared memory.
    """

    n: int
    k: int
    d_type: str
    a_type: str
    b_type: str
    rows: tuple[int, ...]
    a_rows: tuple[int, ...] | None
    accumulator: Fragment
    a_fragment: Fragment
    negate_a: bool
    negate_b: bool
    a_k_major: bool
    b_k_major: bool
    saturate: bool

    @property
    def element_bytes(self) -> int:
        """Bytes of an element of A and B."""
        return self.a_fragment.element_bits // 8


@dataclass(frozen=True, eq=False)
class _Issued:
    """A multiplication in flight. `groups`: instance of each warp, shape (g, 4); the other arrays per group."""

    multiply: WarpgroupMultiply
    groups: NDArray[np.int64]
    ctas: NDArray[np.int64]
    a: Array | None
    b: Array
    accumulate: NDArray[np.bool_]


class WarpgroupMultiplies:
    """The `wgmma` instructions of a batch."""

    def __init__(self, batch: Batch, shared: SharedSpace) -> None:
        self.batch = batch
        self.shared = shared

    def issue(self, front: Front, spec: WarpgroupMultiply, a: Any, b: Any, accumulate: Any, guard: Mask | None) -> None:
        """Start D = A * B (+ D where `accumulate`); A and B are descriptors, A None when it is in registers."""
        groups, place = self._groups(front, guard)
        if not len(groups):
            return
        shape = (front.n, 32)

        def first(value: Any) -> Array:
            taken: Array = np.broadcast_to(value, shape)[place, 0]
            return taken

        issued = _Issued(
            spec,
            groups,
            groups[:, 0] % self.batch.ctas,
            None if a is None else first(a),
            first(b),
            first(accumulate) != 0,
        )
        if self.batch.observer is not None:
            self.batch.observer.event(front, "wgmma.mma_async", front.active(guard), issued)
        self.batch.agents.issue(KIND, self._perform, issued, front, guard)

    def fence(self, front: Front, guard: Mask | None) -> None:
        """`wgmma.fence`: orders register accesses, which needs nothing here."""
        self._note(front, "wgmma.fence", guard)

    def commit(self, front: Front, guard: Mask | None) -> None:
        """`wgmma.commit_group`."""
        self.batch.agents.commit(KIND, front, guard)
        self._note(front, "wgmma.commit_group", guard)

    def wait(self, front: Front, newest: int, guard: Mask | None) -> None:
        """`wgmma.wait_group N`."""
        self.batch.agents.wait(KIND, front, newest, guard)
        self._note(front, "wgmma.wait_group", guard, newest)

    def _groups(self, front: Front, guard: Mask | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Instances of each whole warpgroup (g, 4), and the front's index of the first warp of each (g,)."""
        active = front.full_mask(guard)
        rows = np.flatnonzero(active.any(axis=1))
        instances = front.indices()[rows]
        ctas = self.batch.ctas
        key = (instances // (ctas * GROUP_WARPS)) * ctas + instances % ctas
        order = np.argsort(key, kind="stable")
        whole = active[rows].all() and len(rows) % GROUP_WARPS == 0
        grouped = key[order].reshape(-1, GROUP_WARPS) if whole else key[:0].reshape(-1, GROUP_WARPS)
        if not whole or (grouped != grouped[:, :1]).any():
            raise self.batch.fault(
                "divergent-warpgroup", "not all 128 threads of a warpgroup execute this together", front, (0, 0)
            )
        return instances[order].reshape(-1, GROUP_WARPS), rows[order].reshape(-1, GROUP_WARPS)[:, 0]

    def _perform(self, issued: list[_Issued]) -> None:
        """Chains of products on one accumulator of the same warps are one product with all their k."""
        chains: dict[Any, list[_Issued]] = {}
        for one in issued:
            spec = one.multiply
            chains.setdefault((one.groups.tobytes(), spec.rows, spec.d_type, spec.a_type, spec.b_type), []).append(one)
        for chain in chains.values():
            self._multiply_chain(chain)

    def _multiply_chain(self, chain: list[_Issued]) -> None:
        start = 0
        for index, one in enumerate(chain):
            if not one.accumulate.any():
                start = index
            elif not one.accumulate.all():
                # Groups disagree: what came before is done first, then this one by itself.
                if index > start:
                    self._product(chain[start:index])
                self._product([one])
                start = index + 1
        if chain[start:]:
            self._product(chain[start:])

    def _product(self, chain: list[_Issued]) -> None:
        """One chain as one multiplication per CTA if its groups share B, else one per group."""
        spec, groups, ctas = chain[0].multiply, chain[0].groups, np.unique(chain[0].ctas)
        count = len(groups) // len(ctas)
        shares_b = count * len(ctas) == len(groups) and all((one.b == one.b[0]).all() for one in chain)
        parts = (count, len(ctas)) if shares_b else (1, len(groups))
        a = np.concatenate([self._a(one) for one in chain], axis=2)
        b = np.concatenate([self._b(one, ctas if shares_b else None) for one in chain], axis=1)
        before = self._before(chain[0])
        product = multiply(
            _by_cta(a, parts), spec.a_type, b, spec.b_type, None if before is None else _by_cta(before, parts),
            spec.d_type, negate_a=spec.negate_a, negate_b=spec.negate_b, saturate=spec.saturate,
        )  # fmt: skip
        rows = np.array(spec.rows)[:, None, None]
        self.batch.registers["w"][rows, groups[None]] = spec.accumulator.scatter(_by_group(product, parts))

    def _before(self, one: _Issued) -> Array | None:
        """What the accumulators hold, zero where a group starts anew; None where all do."""
        if not one.accumulate.any():
            return None
        spec = one.multiply
        rows = np.array(spec.rows)[:, None, None]
        held = spec.accumulator.gather(self.batch.registers["w"][rows, one.groups[None]])
        return held if one.accumulate.all() else np.where(one.accumulate[:, None, None], held, held.dtype.type(0))

    def _a(self, one: _Issued) -> Array:
        spec = one.multiply
        if one.a is None:
            rows = np.array(spec.a_rows)[:, None, None]
            return spec.a_fragment.gather(self.batch.registers["w"][rows, one.groups[None]])
        return self._tiles(spec, one.a, one.ctas, M, spec.a_k_major)

    def _b(self, one: _Issued, ctas: NDArray[np.int64] | None) -> Array:
        """B of every group, or of each of `ctas` once."""
        spec = one.multiply
        words, where = (one.b, one.ctas) if ctas is None else (one.b[: len(ctas)], ctas)
        return self._tiles(spec, words, where, spec.n, spec.b_k_major).transpose(0, 2, 1)

    def _tiles(
        self, spec: WarpgroupMultiply, descriptors: Array, ctas: NDArray[np.int64], rows: int, k_major: bool
    ) -> Array:
        """Element bits (g, rows, k) of the matrices that the descriptors name in the shared memory of `ctas`."""
        words = np.unique(descriptors)
        if len(words) == 1:
            return self._tile(spec, int(words[0]), ctas, rows, k_major)
        tiles = np.empty((len(descriptors), rows, spec.k), f"u{spec.element_bytes}")
        for word in words:
            chosen = descriptors == word
            tiles[chosen] = self._tile(spec, int(word), ctas[chosen], rows, k_major)
        return tiles

    def _tile(self, spec: WarpgroupMultiply, word: int, ctas: NDArray[np.int64], rows: int, k_major: bool) -> Array:
        memory = self.shared.units[1].reshape(self.batch.ctas, self.shared.stride_bytes)
        places, inverse = np.unique(ctas, return_inverse=True)
        if len(places) < self.batch.ctas:
            memory = memory[places]
        form = (rows, spec.k * spec.element_bytes, spec.element_bytes, k_major)
        try:
            descriptor = decode_wgmma(word)
            end = last_byte(descriptor, *form) + 1
            if end > self.shared.nbytes:
                raise IndexError(f"the tile ends at byte {end} of {self.shared.nbytes} of shared memory")
            tile = load_matrix(memory, descriptor, *form)
        except (ValueError, IndexError) as error:
            raise self.batch.fault_here("bad-descriptor", f"{error}; the descriptor is {word:#018x}") from error
        return tile if len(places) == len(ctas) else tile[inverse]

    def _note(self, front: Front, name: str, guard: Mask | None, detail: Any = None) -> None:
        if self.batch.observer is not None:
            self.batch.observer.event(front, name, front.active(guard), detail)


@lru_cache(maxsize=4096)
def last_byte(descriptor: MatrixDescriptor, rows: int, depth_bytes: int, element_bytes: int, k_major: bool) -> int:
    """The last byte of a CTA's shared memory that a tile takes."""
    units = matrix_units(descriptor, rows, depth_bytes, element_bytes, k_major)
    return (int(units.max()) + 1) * UNIT_BYTES - 1


def _by_cta(matrices: Array, parts: tuple[int, int]) -> Array:
    """Matrices of (groups of a CTA, CTAs), stacked to one tall matrix per CTA."""
    count, ctas = parts
    rows, columns = matrices.shape[1:]
    if count == 1:
        return matrices
    return matrices.reshape(count, ctas, rows, columns).swapaxes(0, 1).reshape(ctas, count * rows, columns)


def _by_group(matrices: Array, parts: tuple[int, int]) -> Array:
    """Inverse of `_by_cta`."""
    count, ctas = parts
    if count == 1:
        return matrices
    columns = matrices.shape[2]
    return matrices.reshape(ctas, count, -1, columns).swapaxes(0, 1).reshape(count * ctas, -1, columns)
