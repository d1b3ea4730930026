"""The assembler: resources, errors at the line, time limits, which one is chosen; SASS."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from backends.compilers import ptxas
from backends.compilers.entry_header import read_head, read_heads
from backends.compilers.machine_code import resources, sass
from backends.compilers.ptxas import AssemblerOptions, CompileTimeoutError, assemble, find_ptxas
from ir.diagnostics import ExitCode, UserError

SCALE = """.version 8.0
.target sm_90
.address_size 64
.file 1 "scale.cu"
.visible .entry scale(
    .param .u64 .ptr .align 16 x,   // the data
    .param .f32 factor,
    .param .align 8 .b8 pair[16]
)
.reqntid 64, 2, 1
.reqnctapercluster 2
{
    .reg .b64 %rd<4>;
    .reg .f32 %f<4>;
    .shared .align 4 .b8 tile[512];
    .loc 1 7 3
    ld.param.u64 %rd1, [x];
    ld.param.f32 %f1, [factor];
    ld.global.f32 %f2, [%rd1];
    .loc 1 8 5
    mul.f32 %f3, %f1, %f2;
    st.shared.f32 [tile], %f3;
    ld.shared.f32 %f3, [tile];
    st.global.f32 [%rd1], %f3;
    ret;
}
"""


def test_machine_code_and_resources() -> None:
    found = assemble(SCALE, "sm_90a")
    assert found.cubin.startswith(b"\x7fELF")
    used = found.resources["scale"]
    assert used.registers > 0 and used.static_smem_bytes == 512 and not used.spills
    assert found.version and "scale" in found.log


def test_spills_are_reported() -> None:
    registers = "\n".join(f"ld.volatile.global.f32 %f{i}, [%rd1+{4 * i}];" for i in range(80))
    stores = "\n".join(f"st.volatile.global.f32 [%rd1+{4 * i}], %f{i};" for i in range(80))
    body = f".reg .b64 %rd<2>; .reg .f32 %f<80>; ld.param.u64 %rd1, [x]; {registers} {stores} ret;"
    text = f".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 x) {{ {body} }}"
    found = assemble(text, "sm_90a", AssemblerOptions(max_registers=32)).resources["k"]
    assert found.spills and found.spill_store_bytes > 0 and found.spill_load_bytes > 0
    assert not assemble(text, "sm_90a").resources["k"].spills


def test_an_error_is_at_its_line_and_names_the_source() -> None:
    text = SCALE.replace("mul.f32 %f3", "mul.f33 %f3")
    with pytest.raises(UserError) as error:
        assemble(text, "sm_90a", file="scale.ptx")
    found = error.value.diagnostics[0]
    assert found.rule == "ptx-error" and found.location is not None
    assert (found.location.file, text.splitlines()[found.location.line - 1].strip()) == (
        "scale.ptx",
        "mul.f33 %f3, %f1, %f2;",
    )
    assert "mul.f33 %f3" in found.message and "scale.cu:8:5" in found.remedy


def test_an_architecture_that_is_older_than_the_text() -> None:
    with pytest.raises(UserError) as error:
        assemble(SCALE, "sm_80")
    assert error.value.diagnostics[0].rule == "ptx-error"


def _script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_time_limit(tmp_path: Path) -> None:
    slow = _script(tmp_path / "ptxas", "exec sleep 30")
    with pytest.raises(CompileTimeoutError) as error:
        assemble(SCALE, "sm_90a", timeout_s=0.2, tool=slow)
    assert error.value.exit_code == ExitCode.TIME_LIMIT
    (found,) = error.value.diagnostics
    assert found.rule == "compile-timeout" and "0.2 s" in found.message


def test_an_assembler_that_crashes(tmp_path: Path) -> None:
    crashing = _script(tmp_path / "ptxas", "echo boom >&2; exit 3")
    with pytest.raises(UserError, match="status 3: boom"):
        assemble(SCALE, "sm_90a", tool=crashing)


def test_an_assembler_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        assemble(SCALE, "sm_90a", tool=tmp_path / "nothing")
    assert error.value.exit_code == ExitCode.MISSING


def test_no_assembler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptxas, "_candidates", lambda _capability: iter(()))
    with pytest.raises(UserError) as error:
        find_ptxas("sm_90a")
    assert error.value.exit_code == ExitCode.MISSING


def test_a_text_that_is_too_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = _script(tmp_path / "old", "echo 'Cuda compilation tools, release 12.0, V12.0.1'")
    new = _script(tmp_path / "new", "echo 'Cuda compilation tools, release 12.8, V12.8.1'")
    monkeypatch.setattr(ptxas, "_candidates", lambda _capability: iter((old, new)))
    assert find_ptxas("sm_90a", (8, 0)) == old
    assert find_ptxas("sm_90a", (8, 7)) == new
    with pytest.raises(UserError, match=r"PTX 9\.9.* up to 8\.7 \[ptx-too-new\]"):
        find_ptxas("sm_90a", (9, 9))


def test_disassembly() -> None:
    cubin = assemble(SCALE, "sm_90a").cubin
    assert "FMUL" in sass(cubin)
    assert "scale.cu" in sass(cubin, line_info=True)
    assert resources(cubin)["scale"].registers == assemble(SCALE, "sm_90a").resources["scale"].registers
    with pytest.raises(UserError) as error:
        sass(b"no machine code")
    assert error.value.diagnostics[0].rule == "bad-cubin"


def test_the_head_of_an_entry() -> None:
    head = read_head(SCALE, "scale")
    assert [(p.type, p.bits, p.bytes, p.align, p.is_pointer) for p in head.parameters] == [
        ("u", 64, 8, 8, True),
        ("f", 32, 4, 4, False),
        ("b", 8, 16, 8, False),
    ]
    assert (head.block, head.max_threads, head.cluster) == ((64, 2, 1), 128, (2, 1, 1))
    assert [h.name for h in read_heads(SCALE + ".entry second { ret; }")] == ["scale", "second"]
    with pytest.raises(UserError, match="entries here: scale"):
        read_head(SCALE, "other")
