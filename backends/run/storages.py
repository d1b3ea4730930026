"""Tensors of the host on a device for one launch: memory that they share on the host, they share on the device.

A kernel gets pointers, so whole storages are copied, not the elements of a view: strides, offsets and overlaps stay as
they are, and an access beyond a storage is out of bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backends.device import Buffer, Device
from ir.diagnostics import fail


@dataclass(frozen=True)
class Pointer:
    """What stands for a tensor in a launch: element type and address on the device."""

    dtype: Any
    address: int

    def data_ptr(self) -> int:
        """The address."""
        return self.address


@dataclass
class _Range:
    """Host memory [start, end) of storages that overlap, and its buffer on the device."""

    start: int
    end: int
    label: str
    storages: list[Any] = field(default_factory=list)
    buffer: Buffer | None = None


class Copies:
    """Copies of every tensor among the arguments of one launch; `arguments` has pointers in their stead."""

    def __init__(self, device: Device, arguments: Mapping[str, Any]) -> None:
        """Allocate and copy in. Raises UserError (`unsupported-tensor`), MemoryError."""
        self._device = device
        self._ranges = _ranges(arguments)
        for part in self._ranges:
            part.buffer = device.allocate(part.end - part.start, part.label)
            device.write(part.buffer, _gathered(part))
        self.arguments = {name: self._replaced(value) for name, value in arguments.items()}

    def copy_back(self) -> None:
        """What the kernel wrote, to the host."""
        for part in self._ranges:
            assert part.buffer is not None, "every range has a buffer"
            data = self._device.read(part.buffer, np.uint8, (part.end - part.start,))
            for storage in part.storages:
                offset = storage.data_ptr() - part.start
                _bytes_of(storage).copy_(torch.from_numpy(data[offset : offset + storage.nbytes()]))

    def free(self) -> None:
        """Give the device's memory back."""
        for part in self._ranges:
            if part.buffer is not None:
                self._device.free(part.buffer)

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return Pointer(value.dtype, self._address(value))
        if isinstance(value, tuple):
            items = [self._replaced(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        base = _base(value)
        if base is None:
            return value
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, base=Pointer(base.dtype, self._address(base)))
        return Pointer(value.dtype, self._address(base))

    def _address(self, tensor: torch.Tensor) -> int:
        place = int(tensor.data_ptr())
        for part in self._ranges:
            if part.start <= place < part.end:
                assert part.buffer is not None, "every range has a buffer"
                return part.buffer.address + place - part.start
        return 0


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of an argument: itself, those in a tuple, the base of a descriptor or of a reinterpretation."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from tensors_in(item)
    elif (base := _base(value)) is not None:
        yield base


def _base(value: Any) -> torch.Tensor | None:
    base = getattr(value, "base", None)
    return base if isinstance(base, torch.Tensor) else None


def _ranges(arguments: Mapping[str, Any]) -> list[_Range]:
    """Host memory of all storages, merged where they overlap."""
    storages: dict[tuple[int, int], tuple[str, Any]] = {}
    for name, value in arguments.items():
        for tensor in tensors_in(value):
            storage = _storage(name, tensor)
            if storage.nbytes():
                storages.setdefault((storage.data_ptr(), storage.nbytes()), (name, storage))
    ranges: list[_Range] = []
    for (start, nbytes), (name, storage) in sorted(storages.items(), key=lambda item: item[0]):
        if not ranges or start >= ranges[-1].end:
            ranges.append(_Range(start, start, name))
        ranges[-1].end = max(ranges[-1].end, start + nbytes)
        ranges[-1].storages.append(storage)
    return ranges


def _storage(name: str, tensor: torch.Tensor) -> Any:
    if tensor.layout != torch.strided or tensor.is_meta:
        raise fail("unsupported-tensor", f"`{name}` has no memory that a kernel could be given: {tensor.layout}")
    return tensor.untyped_storage()


def _bytes_of(storage: Any) -> torch.Tensor:
    """A storage as bytes; writing to them writes to it."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _gathered(part: _Range) -> NDArray[np.uint8]:
    data = np.empty(part.end - part.start, np.uint8)
    for storage in part.storages:
        offset = storage.data_ptr() - part.start
        data[offset : offset + storage.nbytes()] = _bytes_of(storage).cpu().numpy()
    return data


def snapshot(values: Sequence[Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Every tensor among values, with a copy of its storage's bytes."""
    found = [tensor for value in values for tensor in tensors_in(value)]
    return [(tensor, _bytes_of(tensor.untyped_storage()).clone()) for tensor in found]


def restore(saved: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Tensors as they were at the snapshot."""
    for tensor, data in saved:
        _bytes_of(tensor.untyped_storage()).copy_(data)
