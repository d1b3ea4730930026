"""What bench.hardware does without a GPU: stored measurements, their cases, and what is made of them."""

from __future__ import annotations

import json

import pytest
import torch

from bench.hardware import (
    KERNELS,
    Agreement,
    Timed,
    _differences,
    label,
    main,
    modelled,
    report,
    tasks_for,
    timed_cases,
)
from ir.diagnostics import ExitCode

STORED = KERNELS.parent / "bench" / "hardware"


@pytest.mark.parametrize(("machine", "architecture"), [("h100", "sm_90")])
def test_every_stored_case_is_one_of_a_shipped_task(machine: str, architecture: str) -> None:
    found = json.loads((STORED / f"{machine}.json").read_text())
    cases = {label(c) for c in timed_cases(tasks_for(architecture, [""]), architecture, ["search", "report"])}
    timed = [Timed(**row) for row in found["timed"]]
    assert len(timed) > 300 and {t.case for t in timed} <= cases
    assert all(t.status == "passed" and (t.measured_us or 0.0) > t.empty_us / 2 for t in timed)
    assert found["gpu"] and found["made_with"]


def test_a_stored_case_is_modelled_at_the_measured_clock() -> None:
    [case] = [
        c
        for c in timed_cases(tasks_for("sm_90", ["vector_add:float4"]), "sm_90", ["search"])
        if label(c) == "vector_add:float4 N=1000000"
    ]
    fast, slow = (modelled(case, Timed(label(case), "passed", 7.0, clock_mhz=mhz), "h100") for mhz in (1980.0, 990.0))
    assert fast.modelled_us is not None and slow.modelled_us is not None
    assert fast.modelled_us < slow.modelled_us
    assert fast.error == pytest.approx(fast.modelled_us / 7.0 - 1)


def test_a_case_that_did_not_pass_is_not_modelled() -> None:
    [case, *_] = timed_cases(tasks_for("sm_90", ["vector_add"]), "sm_90", ["search"])
    fault = Timed(label(case), "fault", failure="beyond")
    assert modelled(case, fault, "h100") == fault and fault.error is None


def test_elements_differ_by_their_bits() -> None:
    ours, theirs = torch.tensor([1.0, 0.0, 3.0]), torch.tensor([1.0, -0.0, 3.5])
    assert _differences({"c": ours}, {"c": theirs}) == (2, 3)


def test_the_report_has_errors_by_class() -> None:
    rows = [Timed("a", "passed", 10.0, modelled_us=11.0, kernel_class="plain"), Timed("b", "fault", failure="beyond")]
    text = report("GPU", rows, [Agreement("a", "passed", "passed", 1, 8)])
    assert "+10%" in text and "plain: 1 cases, mean error 10.0%" in text and "beyond" in text and "1 of 8" in text


def test_without_a_gpu_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--machine", "h100", "--only", "no such task", "--processes", "1"])
    assert code in (ExitCode.MISSING, ExitCode.SUCCESS)
    if code == ExitCode.MISSING:
        assert "missing-part" in capsys.readouterr().err
