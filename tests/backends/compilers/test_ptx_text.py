"""PTX texts as artifacts: the entry, the target, types of arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.compilers.artifact import from_json, to_json
from backends.compilers.ptx import compile_file, compile_text
from ir.diagnostics import UserError

ONE = """.version 8.0
.target sm_90a
.address_size 64
.visible .entry one(.param .u64 x) .maxntid 128, 1, 1 { .shared .b8 tile[64]; ret; }
"""
TWO = ONE + ".visible .entry two(.param .f32 y) { ret; }\n"


def test_the_only_entry_for_its_own_target() -> None:
    found = compile_text(ONE)
    assert (found.language, found.entry, found.architecture) == ("ptx", "one", "sm_90a")
    assert (found.block, found.max_threads) == (None, 128)
    assert found.cubin is not None and found.resources is not None
    assert from_json(to_json(found)) == found


def test_one_of_two_entries_with_types() -> None:
    found = compile_text(TWO, "two", arguments={"factor": "fp32"}, options=None)
    assert [(p.argument, p.dtype) for p in found.parameters] == [("factor", "fp32")] and found.cubin is None


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    (tmp_path / "two.ptx").write_text(TWO)
    for name, entry, rule in [
        ("two.ptx", "", "several-kernels"),
        ("two.ptx", "x", "unknown-entry"),
        ("no", "", "missing-file"),
    ]:
        with pytest.raises(UserError) as error:
            compile_file(tmp_path / name, entry)
        assert error.value.diagnostics[0].rule == rule
    with pytest.raises(UserError) as error:
        compile_text(".version 8.0\n.target sm_90\n")
    assert error.value.diagnostics[0].rule == "no-kernel"
