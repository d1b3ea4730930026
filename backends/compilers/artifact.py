"""The compiled kernel: PTX, machine code, and what a device must know to launch it, as values that JSON can hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ir.diagnostics import Diagnostic, Location

# What a parameter is -> how it is passed. Those below the first three come from a tensor descriptor or are hidden.
KINDS = {
    "pointer": "pointer",
    "scalar": "scalar",
    "struct": "struct",
    "tensor-map": "tensor-map",
    "base": "pointer",
    "shape": "scalar",
    "stride": "scalar",
    "nan-padding": "scalar",
    "tf32-rounding": "scalar",
    "global-scratch": "pointer",
    "profile-scratch": "pointer",
}
HIDDEN = ("global-scratch", "profile-scratch")


@dataclass(frozen=True)
class TensorMapLayout:
    """How TMA sees a tensor, apart from its address, shape and strides: what `cuTensorMapEncodeTiled` is told.

    `swizzle` and `element_type` are the driver's enumerations (CUtensorMapSwizzle, CUtensorMapDataType); `box` is in
    elements, outermost first. `fp4_padded`: the innermost extent counts bytes of two 4-bit elements, padded to eight.
    """

    swizzle: int
    element_type: int
    element_bytes: int
    box: tuple[int, ...]
    fp4_padded: bool = False
    im2col: bool = False


@dataclass(frozen=True)
class Parameter:
    """One parameter in the order of the PTX entry.

    `role` is a key of KINDS. `argument` is the source parameter that it is a part of, `path` the place inside that
    one if it is a tuple, `axis` the dimension of a shape or a stride. `dtype` is Triton's name of the scalar, or of
    what a pointer points to; empty where only the size is known. `bytes` and `alignment_bytes` are those in PTX.
    The code relies on the value (an address or an integer) being a multiple of `divisibility`.
    """

    role: str
    dtype: str
    bytes: int
    alignment_bytes: int
    argument: str = ""
    path: tuple[int, ...] = ()
    axis: int = 0
    tensor_map: TensorMapLayout | None = None
    divisibility: int = 1

    @property
    def kind(self) -> str:
        """How it is passed: pointer, scalar, struct or tensor-map."""
        return KINDS[self.role]

    @property
    def is_hidden(self) -> bool:
        """Whether the launcher supplies it by itself."""
        return self.role in HIDDEN


@dataclass(frozen=True)
class Scratch:
    """Global memory that the launcher allocates: bytes for each block, and their alignment."""

    bytes: int = 0
    alignment_bytes: int = 1


@dataclass(frozen=True)
class Resources:
    """What the assembler reports for one entry: registers of a thread, bytes of a thread's stack and spills."""

    registers: int
    stack_bytes: int = 0
    spill_store_bytes: int = 0
    spill_load_bytes: int = 0
    static_smem_bytes: int = 0
    barriers: int = 0

    @property
    def spills(self) -> bool:
        """Whether registers did not suffice."""
        return bool(self.spill_store_bytes or self.spill_load_bytes)


@dataclass(frozen=True)
class Compiled:
    """One entry of one compiled source.

    language: triton, gluon, cuda or ptx. architecture: as in PTX (`sm_90a`). cubin and resources are None where only
    PTX was asked for. block: threads of a block along x, y, z where they are fixed, else None and the launch chooses
    up to `max_threads`. dynamic_smem_bytes: what the launch must ask for. cluster: blocks of a cluster along x, y, z.
    constants: source parameters that were compiled in, with their values. sources: path -> text of the files that
    `.loc` lines of the PTX name. warnings: what the compiler found, at places of the source.
    """

    language: str
    entry: str
    architecture: str
    ptx: str
    cubin: bytes | None
    parameters: tuple[Parameter, ...]
    block: tuple[int, int, int] | None = None
    max_threads: int | None = None
    static_smem_bytes: int = 0
    dynamic_smem_bytes: int = 0
    tmem_columns: int = 0
    cluster: tuple[int, int, int] = (1, 1, 1)
    cooperative: bool = False
    dependent_launch: bool = False
    global_scratch: Scratch = Scratch()
    profile_scratch: Scratch = Scratch()
    resources: Resources | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    log: str = ""

    @property
    def threads(self) -> int | None:
        """Threads of a block where they are fixed."""
        return None if self.block is None else self.block[0] * self.block[1] * self.block[2]

    @property
    def warps(self) -> int | None:
        """Warps of a block where they are fixed."""
        return None if self.threads is None else -(-self.threads // 32)

    @property
    def smem_bytes(self) -> int:
        """Shared memory of a block, static and dynamic."""
        return self.static_smem_bytes + self.dynamic_smem_bytes


def to_json(compiled: Compiled) -> str:
    """One JSON object; machine code in base64. The same artifact gives the same text."""
    cubin = None if compiled.cubin is None else base64.b64encode(compiled.cubin).decode("ascii")
    data = {f.name: getattr(compiled, f.name) for f in fields(compiled)} | {"cubin": cubin}
    return json.dumps(data, default=_plain, sort_keys=True)


def from_json(text: str) -> Compiled:
    """The artifact that `to_json` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("an artifact is a JSON object")
    readers = {name: _READERS[name](value) for name, value in data.items() if name in _READERS and value is not None}
    return Compiled(**data | readers)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return asdict(value)


def _parameter(data: dict[str, Any]) -> Parameter:
    layout = data["tensor_map"]
    layout = layout and TensorMapLayout(**layout | {"box": tuple(layout["box"])})
    return Parameter(**data | {"path": tuple(data["path"]), "tensor_map": layout})


def _diagnostic(data: dict[str, Any]) -> Diagnostic:
    return Diagnostic(**data | {"location": data["location"] and Location(**data["location"])})


# Fields of Compiled that JSON has in another form.
_READERS: dict[str, Any] = {
    "cubin": lambda value: base64.b64decode(value, validate=True),
    "parameters": lambda values: tuple(map(_parameter, values)),
    "block": tuple,
    "cluster": tuple,
    "global_scratch": lambda value: Scratch(**value),
    "profile_scratch": lambda value: Scratch(**value),
    "resources": lambda value: Resources(**value),
    "warnings": lambda values: tuple(map(_diagnostic, values)),
}
