"""Which kernel of a PTX file is loaded, and what is said where there is none or several."""

from pathlib import Path

import pytest

from ir.diagnostics import UserError
from twill.frontend.ptx import load_ptx, ptx_entries

DATA = Path(__file__).parent / "data"


def test_missing_file_and_entries(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing-file"):
        load_ptx(tmp_path / "no.ptx")
    path = DATA / "reduce_sm90.ptx"
    assert ptx_entries(path) == ("dot", "clipped_sum", "find", "tiled_gemm", "nested")
    with pytest.raises(UserError, match=r"reduce_sm90.ptx:dot.*ptx-several-entries|ptx-several-entries"):
        load_ptx(path)
    with pytest.raises(UserError, match="ptx-no-entry"):
        load_ptx(f"{path}:dott")
    assert load_ptx(f"{path}:dot").name == load_ptx(path, "dot").name == "dot"
    (tmp_path / "function.ptx").write_text(".target sm_90\n.func f() { ret; }\n")
    with pytest.raises(UserError, match="ptx-no-entry"):
        load_ptx(tmp_path / "function.ptx")
