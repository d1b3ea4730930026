"""Copies: mov of one register, and cvta, since the emulated address spaces share one numbering."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.emulator.semantics.forms import Forms
from backends.emulator.semantics.types import LaneFunction

Array = Any


def _copy(a: Array, out: Array = None) -> Array:
    if out is None:
        return np.array(a)
    np.copyto(out, a)
    return out


def _build(op: Any) -> LaneFunction:
    return LaneFunction((op.type,), (op.type,), _copy, is_ufunc_like=True)


FORMS: Forms = {
    "mov(.pred|.b16|.b32|.b64|.u16|.u32|.u64|.s16|.s32|.s64|.f32|.f64)": _build,
    "cvta[.to](.global|.shared|.shared::cta|.shared::cluster|.local|.const|.param)(.u32|.u64)": _build,
}
