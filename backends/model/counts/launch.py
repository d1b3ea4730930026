"""A launch to be counted: a sliced kernel, its geometry, its parameters, and the data on which its way depends.

Memory costs nothing until it is touched: buffers are reserved and read as zeros. Only those through which the kernel
reads what decides an address or a branch are filled, as `twill run` fills them; of a large one so many elements are
drawn, and repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.compilers import launch as call
from backends.compilers.artifact import Compiled
from backends.emulator.arguments import packed
from backends.emulator.geometry import Geometry
from backends.model.counts.feeding import refined
from backends.model.counts.loaded import LoadedSlice, load_slice
from ir.argument import Argument
from ir.expression import Expression
from ir.task import Sizes, Task

DRAWN_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Launch:
    """What is to be counted. `contents`: address -> bytes that must be there before it runs; all else is zero.

    cooperative: all CTAs may wait for each other. registers of a thread and tmem_columns of a CTA limit how many CTAs
    run at once; 0 where they are not known.
    """

    loaded: LoadedSlice
    geometry: Geometry
    parameters: bytes
    cooperative: bool = False
    contents: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    zeroed: tuple[tuple[int, int], ...] = ()
    registers: int = 0
    tmem_columns: int = 0

    def restore(self) -> None:
        """Put memory in the state before the launch, as far as the kernel's way depends on it."""
        arena = self.loaded.arena
        for address, nbytes in self.zeroed:
            arena.bytes(address, nbytes)[:] = 0
        for address, data in self.contents.items():
            arena.bytes(address, len(data))[:] = data


def task_launch(compiled: Compiled, task: Task, sizes: Sizes, seed: int = 0) -> Launch:
    """The launch of a task's kernel at these sizes. Raises UserError for what cannot be loaded or launched."""
    from backends.run.launch import device_arguments

    loaded = load_slice(compiled.ptx, compiled.entry, f"{compiled.entry}.ptx")
    arena, values, grid = loaded.arena, task.values(sizes), task.grid(sizes)
    tensors = [a for a in task.arguments if a.kind != "scalar"]
    places = {a.name: arena.allocate(_nbytes(a, values), a.name, poison=False) for a in tensors}
    addresses = {name: place.address for name, place in places.items()}
    scratch = {
        role: arena.allocate(n, role, poison=False).address for role, n in call.scratch_bytes(compiled, grid).items()
    }
    shape = call.launch_shape(compiled, grid)
    arguments = device_arguments(compiled, _arguments(task, values, addresses), scratch)
    geometry = _geometry(loaded, shape)
    parameters = packed(loaded.program.entry, arguments)
    loaded = refined(loaded, geometry, parameters)
    wanted = set(_data_arguments(compiled, loaded))
    drawn = [a for a in task.inputs if a.parameter in wanted or None in wanted]
    memory = loaded.sliced.needs_memory
    launch = Launch(
        loaded,
        geometry,
        parameters,
        shape.cooperative,
        {addresses[a.name]: _contents(a, values, seed) for a in drawn if a.distribution.kind != "zeros"},
        tuple((p.address, p.nbytes) for p in places.values()) if memory else (),
        compiled.resources.registers if compiled.resources else 0,
        compiled.tmem_columns,
    )
    launch.restore()
    return launch


def _geometry(loaded: LoadedSlice, shape: call.LaunchShape) -> Geometry:
    shared_bytes = loaded.program.static_shared_bytes + shape.dynamic_smem_bytes
    cluster = shape.cluster
    if cluster == (1, 1, 1):
        cluster = loaded.program.entry.attributes.cluster or cluster
    return Geometry(shape.grid, shape.block, cluster, shared_bytes, shape.dynamic_smem_bytes)


def _data_arguments(compiled: Compiled, loaded: LoadedSlice) -> Iterator[str | None]:
    """Source parameters through which deciding data is read; None for all of them."""
    names = [p.name for p in loaded.program.entry.parameters]
    for name in loaded.sliced.data:
        yield None if name is None else compiled.parameters[names.index(name)].argument


def _arguments(task: Task, values: Sizes, addresses: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for a in task.arguments:
        if a.kind == "scalar":
            found[a.parameter] = a.value_at(values)
        elif a.kind == "descriptor":
            shape = a.shape_at(values)
            strides = tuple(prod(shape[i + 1 :]) for i in range(len(shape)))
            found[a.parameter] = call.Descriptor(addresses[a.name], shape, strides)
        else:
            found[a.parameter] = addresses[a.name]
    return found


def _nbytes(argument: Argument, values: Sizes) -> int:
    return prod(argument.shape_at(values)) * max(argument.element_bits // 8, 1)


def _contents(argument: Argument, values: Sizes, seed: int) -> NDArray[np.uint8]:
    from backends.run.inputs import as_bytes, draw, generator_of

    nbytes = _nbytes(argument, values)
    elements = prod(argument.shape_at(values))
    if elements > DRAWN_ELEMENTS and argument.distribution.kind != "offsets":
        argument = replace(argument, shape=(Expression.parse(str(DRAWN_ELEMENTS)),))
    drawn = as_bytes(draw(argument, values, generator_of(seed, argument.name)))
    return np.resize(drawn, nbytes) if len(drawn) < nbytes else drawn
