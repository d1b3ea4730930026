"""Argument types and constants for kernels whose callers we do not run: guesses, most likely first.

A kernel states its block sizes by autotuning and its flags by heuristics; what is left is guessed from how its body
uses a parameter (`corpus_uses`) and from its name, by the tables below. The compiler then says whether a guess fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpus_uses import Uses, uses_of

from backends.compilers.triton_function import Unwrapped

Rules = tuple[tuple[re.Pattern[str], Any], ...]


@dataclass(frozen=True)
class Guess:
    """Types by parameter and constants by parameter, as `twill.schedule` takes them; `name` says which variant."""

    name: str
    arguments: Mapping[str, str]
    constants: Mapping[str, Any]


def _rules(*rows: tuple[str, Any]) -> Rules:
    return tuple((re.compile(pattern), value) for pattern, value in rows)


# Constants by name; the first that matches in full.
CONSTANTS = _rules(
    (r"BT|BTS|CHUNK_(LEN|SIZE)", 64),
    (r"BTL", 128),
    (r"BC|BR", 16),
    (r"BS", 32),
    (r"BLOCK_SIZE_[MN]|BLOCK_[MN]|BM|BN|B[KVDWLE]", 64),
    (r"BLOCK_SIZE_K|BLOCK_K", 32),
    (r"BLOCK_SIZE", 1024),
    (r"BLOCK.*|.*_BLOCK", 64),
    (r"GROUP(_SIZE)?(_M)?", 8),
    (r"B|bs|batch_size|N", 4),
    (r"H|HV|HQ|HK|n_qh|n_kh|num_heads|.*heads?", 8),
    (r"G|GS|NB|dilation|SPLIT", 1),
    (r"K|V|head_dim|hd|S|.*_dim", 128),
    (r"D|n_cols|hidden_size|M|L|T|seq_len|n_rows|E|V_TOTAL|embedding_dim", 1024),
    (r"NT|N[KVSCG]|HC|C|TMAX", 4),
    (r"W|kernel_size|channels_per_group|R|TC", 4),
    (r"num_warps", 4),
    (r"num_stages", 2),
    (r"(?i).*d_?type", "tl.float32"),
    (r"(?i).*precision", "ieee"),
    (r"(?i)ignore_index", -100),
    (r"(?i).*(eps|smoothing|offset)", 0),
    (r"(?i).*(scale|temperature|multiplier|softcapping|delta|beta|clamp|limit|alpha)", 1.0),
    (r"(?i)stride.*|.*stride", 128),
    (r"casting_mode", 0),
)
# Element types of pointers by name.
ELEMENTS = _rules(
    (
        r"(?i).*(cu_?seqlens?|offsets?|indices|idx|index|lens?|counts?|ids?|labels?|table|start|segments?)(_ptr)?",
        "*i64",
    ),
    (r"(?i).*(seed|_row_start|tile_expert|num_accepted.*|perm|topk.*)(_ptr)?", "*i32"),
    (r"(?i).*mask(_ptr)?", "*i8"),
    (r"(?i)(rstd|mean|lse|loss|delta|h0|ht|dh0|dht|a_log|dt_bias|.*_state)(_ptr)?", "*fp32"),
    (r".*", "*bf16"),
)
# Scalars by name; whole numbers are the default.
SCALARS = _rules(
    (r"(?i).*(eps|scale|alpha|beta|gamma|temperature|lr|softcap\w*|smoothing|theta|coef\w*|dropout_?p?)", "fp32"),
    (r"(?i)p|delta|.*(_p|weight|clamp\w*|limit|bound|multiplier|decay|ratio|momentum|norm|divisor|inv_\w*)", "fp32"),
    (r"(?i).*stride.*", "i32:16"),
    (r".*", "i32"),
)  # fmt: skip
# Tiles of guessed sizes can be too large for any machine; then the guess is made again with no size above this one.
SMALL = 64
_FLAG = re.compile(r"(USE|IS|HAS|STORE|SAVE|OUTPUT|APPLY|ADD|HAVE|WITH|NO|NEED|COMPUTE|RECOMPUTE|INPLACE|REVERSE)_?.*")


def guesses(kernel: Unwrapped) -> Iterator[Guess]:
    """Guesses to try in turn: without optional arguments, with them; bf16 and fp32 data; flags off and on."""
    uses = uses_of(kernel.function)
    optional = (uses.optional | _probed(kernel)) & set(kernel.parameters)
    for name, given, element, flag in (
        ("no options", False, "*bf16", False),
        ("no options, fp32", False, "*fp32", False),
        ("options", True, "*bf16", False),
        ("options and flags", True, "*bf16", True),
        ("options and flags, fp32", True, "*fp32", True),
        ("flags", False, "*bf16", True),
        ("integers", False, "*i32", False),
    ):
        yield _guess(kernel, uses, set() if given else optional, element, flag, name)


def smaller(guess: Guess) -> Guess:
    """The guess with smaller sizes."""
    constants = {name: min(v, SMALL) if type(v) is int else v for name, v in guess.constants.items()}
    return Guess(f"{guess.name}, small tiles", guess.arguments, constants)


def _guess(kernel: Unwrapped, uses: Uses, left_out: set[str], element: str, flag: bool, name: str) -> Guess:
    configured = dict(kernel.configs[0].kwargs) if kernel.configs else {}
    settled = {*configured, *kernel.heuristics, *(p.name for p in kernel.function.params if p.has_default)}
    open_ = [p for p in kernel.function.params if p.name not in settled]
    constants = {p.name: _constant(p.name, uses, flag) for p in open_ if p.is_constexpr}
    constants |= {p.name: None for p in open_ if p.name in left_out}
    arguments = {p.name: _type(p.name, uses, element) for p in open_ if p.name not in constants}
    return Guess(name, arguments, constants)


def _probed(kernel: Unwrapped) -> set[str]:
    """Parameters that a heuristic compares with None: it answers False when they are missing."""

    class Probe(dict[str, Any]):
        def __missing__(self, key: str) -> None:
            asked.add(key)

    found: set[str] = set()
    for function in kernel.heuristics.values():
        asked: set[str] = set()
        try:
            answer = function(Probe())
        except (TypeError, AttributeError, ValueError):
            continue
        found |= asked if answer is False else set()
    return found


def _constant(name: str, uses: Uses, flag: bool) -> Any:
    if isinstance(uses.choices.get(name), str):
        return uses.choices[name]
    if name in uses.flags or _FLAG.fullmatch(name):
        return flag
    found = _first(CONSTANTS, name, None)
    otherwise = 64 if name in uses.ranges else uses.choices.get(name, 16)
    return otherwise if found is None else found


def _type(name: str, uses: Uses, element: str) -> str:
    if name not in uses.pointers:
        return str(_first(SCALARS, name, "i32"))
    if name in uses.indices:
        return "*i64"
    found = str(_first(ELEMENTS, name, "*bf16"))
    return element if found == "*bf16" or (found == "*fp32" and element == "*fp32") else found


def _first(rules: Rules, name: str, default: Any) -> Any:
    return next((value for pattern, value in rules if pattern.fullmatch(name)), default)
