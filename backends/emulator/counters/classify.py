"""What an instruction counts as: its pipe, its class of thread operation, the memory it names, its tensor operations.

Pipes are those of the Nsight Compute documentation (Kernel Profiling Guide, "Pipelines"). One PTX instruction counts as
one instruction, although the assembler may make several machine instructions of it, or none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_WARPS_OF_A_GROUP = 4
_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_SPACES = ("global", "shared", "local", "param", "const")
_FLOATS = {
    "f32": "fp32", "f32x2": "fp32", "tf32": "fp32", "f64": "fp64", "f16": "fp16", "f16x2": "fp16", "bf16": "fp16",
    "bf16x2": "fp16",
}  # fmt: skip
_AROUND_PRODUCTS = ("wmma", "wgmma", "tcgen05")
_OPERATIONS = {"ld": "ld", "ldu": "ld", "ldmatrix": "ld", "st": "st", "stmatrix": "st", "atom": "atom", "red": "red"}
_LETTERS = {"fp32": "f", "fp16": "h", "fp64": "d"}
_ARITHMETIC = {"add": "add", "sub": "add", "mul": "mul", "fma": "fma", "mad": "fma"}
_FLOAT_PIPES = {"fp32": "fma", "fp16": "fp16", "fp64": "fp64"}


def _table(groups: Mapping[str, str]) -> Mapping[str, str]:
    return {word: name for name, words in groups.items() for word in words.split()}


# Arithmetic on floats goes to its own pipe; comparisons, minima and selections of 32 and 16 bits to the ALU.
_PIPES = _table({
    "alu": "and or xor not lop3 shl shr shf bfe bfi bmsk szext fns prmt selp slct set setp min max abs neg add sub addc"
    " subc sad mov cvta isspacep vote testp copysign cvt mapa getctarank vadd vsub vabsdiff vmin vmax vset",
    "fma": "mul mad mad24 mul24 madc fma dp4a dp2a",
    "xu": "ex2 lg2 sin cos rcp rsqrt sqrt tanh div rem popc clz bfind brev",
    "lsu": "ld ldu st atom red ldmatrix stmatrix movmatrix shfl cp prefetch prefetchu mbarrier match redux activemask"
    " createpolicy discard applypriority multimem fence membar",
    "cbu": "bra brx ret exit call trap brkpt nanosleep elect pragma",
    "adu": "bar barrier griddepcontrol setmaxnreg",
})  # fmt: skip
_CLASSES = _table({
    "integer": "add sub addc subc mul mad mad24 mul24 madc min max abs neg sad set setp slct selp div rem dp4a dp2a"
    " vadd vsub vabsdiff vmin vmax vset",
    "bit": "and or xor not lop3 shl shr shf bfe bfi bmsk szext fns prmt popc clz bfind brev",
    "conversion": "cvt",
    "control": "bra brx ret exit call trap brkpt",
    "memory": "ld ldu st atom red ldmatrix stmatrix cp prefetch prefetchu mbarrier multimem discard applypriority",
    "inter_thread_communication": "shfl vote match redux elect activemask movmatrix",
})  # fmt: skip
_SOURCES = {
    "f16": "fp16", "bf16": "bf16", "tf32": "tf32", "f64": "fp64", "e4m3": "fp8", "e5m2": "fp8", "s8": "int8",
    "u8": "int8", "s4": "int4", "u4": "int4", "b1": "int1", "e2m1": "fp4", "e2m3": "fp6", "e3m2": "fp6",
}  # fmt: skip
_TENSOR_OPS = {"fp64": "dmma", "int8": "imma", "int4": "imma", "int1": "bmma"}
_TENSOR_NAMES_WITHOUT_TARGET = ("int8", "int4", "int1", "fp64")


@dataclass(frozen=True)
class Traits:
    """What an opcode counts as.

    classes: of thread operations (`ffma`, `fp32`, `integer`, ...). weight: operations that one thread does, 2 for
    packed pairs. space: that the opcode names, global for generic addresses, "" for none; operation: `ld`, `st`,
    `atom`, `red`, `ldgsts_cache_access` or `ldgsts_cache_bypass`. tensor_path: `fp16_dst_fp32` or `int8`; tensor_op:
    `hmma`, ...; tensor_ops: multiplications and additions of one warp, 0 where only the operands tell.
    """

    pipe: str
    classes: tuple[str, ...]
    weight: int = 1
    space: str = ""
    operation: str = ""
    tensor_path: str = ""
    tensor_op: str = ""
    tensor_ops: int = 0


@lru_cache(maxsize=4096)
def traits(opcode: str) -> Traits:
    """What `opcode` counts as.

    >>> traits("fma.rn.f32").classes, traits("mad.lo.s32").pipe, traits("ld.global.v4.b32").space
    (('ffma', 'fp32'), 'fma', 'global')
    >>> traits("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32").tensor_ops
    4096
    """
    parts = tuple(opcode.split("."))
    base = parts[0]
    if _is_product(parts):
        return _product(parts)
    kind = _FLOATS.get(parts[-1], "")
    weight = 2 if parts[-1].endswith("x2") else 1
    if base == "cvt":
        return Traits(_conversion_pipe(parts), ("conversion",))
    if base in _AROUND_PRODUCTS:
        moves = "load" in parts or "store" in parts or any(p in ("ld", "st", "cp") for p in parts)
        return Traits("lsu" if moves else "cbu", ("memory" if moves else "misc",))
    if base in _ARITHMETIC and kind:
        letter = _LETTERS[kind]
        return Traits(_FLOAT_PIPES[kind], (letter + _ARITHMETIC[base], kind), weight)
    pipe = (
        "fp64"
        if kind == "fp64" and _PIPES.get(base) == "alu" and base not in ("mov", "selp")
        else _PIPES.get(base, "alu")
    )
    classes = (kind,) if kind and _CLASSES.get(base) == "integer" else (_CLASSES.get(base, "misc"),)
    return Traits(pipe, classes, weight if kind else 1, *memory_of(parts))


def memory_of(parts: tuple[str, ...]) -> tuple[str, str]:
    """(state space, operation) of a memory instruction, generic addresses taken as global; "" twice for any other.

    >>> memory_of(("ld", "v4", "b32")), memory_of(("cp", "async", "cg", "shared", "global"))
    (('global', 'ld'), ('global', 'ldgsts_cache_bypass'))
    """
    if parts[0] == "cp":
        is_copy = "bulk" not in parts and any(p.startswith("shared") for p in parts)
        way = "bypass" if "cg" in parts else "access"
        return ("global", f"ldgsts_cache_{way}") if is_copy else ("", "")
    operation = _OPERATIONS.get(parts[0])
    if operation is None:
        return "", ""
    other = "shared" if "matrix" in parts[0] else "global"
    return next((p.partition("::")[0] for p in parts if p.partition("::")[0] in _SPACES), other), operation


def _conversion_pipe(parts: tuple[str, ...]) -> str:
    """Conversions between integers and floats, of doubles and to integral values are the XU's; others the ALU's."""
    target, source = parts[-2:]
    floats = [t in _FLOATS or t.startswith(("e4m3", "e5m2", "e2m", "e3m", "ue8")) for t in (target, source)]
    integral = any(p in ("rni", "rzi", "rmi", "rpi") for p in parts)
    return "xu" if floats[0] != floats[1] or "f64" in (target, source) or integral else "alu"


def _is_product(parts: tuple[str, ...]) -> bool:
    return parts[0] == "mma" or parts[:2] in (("wgmma", "mma_async"), ("wmma", "mma"), ("tcgen05", "mma"))


def _product(parts: tuple[str, ...]) -> Traits:
    shape = next((found for p in parts if (found := _SHAPE.fullmatch(p))), None)
    types = [p for p in parts if p in _SOURCES or p in ("f32", "s32")]
    if shape is None or not types:
        return Traits("tensor", ("misc",))
    m, n, k = (int(x) for x in shape.groups())
    warps = _WARPS_OF_A_GROUP if parts[0] == "wgmma" else 1
    # wmma names the accumulators alone when the matrices are of halves.
    source = _SOURCES.get(types[1] if len(types) > 1 and not _is_half_wmma(parts, types) else "f16", "fp16")
    return Traits(
        "tensor", ("misc",), tensor_path=tensor_path(source, types[0]), tensor_op=_TENSOR_OPS.get(source, "hmma"),
        tensor_ops=2 * m * n * k // warps,
    )  # fmt: skip


def _is_half_wmma(parts: tuple[str, ...], types: list[str]) -> bool:
    return parts[0] == "wmma" and len(types) == 2


def source_of(element: str) -> str:
    """Nsight Compute's word for an element type of a matrix: `fp8` for e4m3."""
    return _SOURCES[element]


def tensor_path(source: str, target: str) -> str:
    """The end of `sm__ops_path_tensor_src_...`: for a kind of source (`fp16`) and the accumulator's type (`f32`)."""
    return source if source in _TENSOR_NAMES_WITHOUT_TARGET else f"{source}_dst_{'fp16' if target == 'f16' else 'fp32'}"
