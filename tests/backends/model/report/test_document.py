"""The JSON document: the same bytes for the same input, null for what has no number, every key with its unit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends.machines import load_machine
from backends.model.fidelity import class_error
from backends.model.profiling import ProfileOptions, profile_task
from backends.model.report.compare import compare
from backends.model.report.document import comparison_document, plain, profile_document
from backends.model.report.report import report_of
from ir.serialize import to_text
from tests.backends.model.report.profiles import report, task


def _untimed(document: dict[str, Any]) -> str:
    assert document.pop("timing")
    return to_text(document)


def test_the_same_input_gives_the_same_bytes():
    chosen = task("transpose")
    again = report_of(
        profile_task(chosen, chosen.sizes["search"][0], load_machine("a6000"), ProfileOptions(with_interval=False))
    )
    assert _untimed(profile_document([again], True)) == _untimed(profile_document([report("transpose")], True))


def test_what_a_profile_says():
    (found,) = json.loads(to_text(profile_document([report("transpose", with_interval=True)], True)))["profiles"]
    assert found["kernel"] == "transpose" and found["machine"] == "a6000"
    assert found["modelled_time_us"]["low"] < found["modelled_time_us"]["value"] < found["modelled_time_us"]["high"]
    assert sum(found["stall_shares"].values()) == pytest.approx(1.0)
    assert found["limiter"] and found["occupancy"]["share"] == 1.0
    assert found["metrics"]["smsp__thread_inst_executed.sum"] is None
    assert found["roofline"]["dram_bytes"] == found["metrics"]["dram__bytes.sum"]
    assert found["lines"][0]["file"].endswith("kernel.cu")
    assert "lines" not in profile_document([report("transpose")])["profiles"][0]


def test_an_interval_that_was_not_asked_for_is_null():
    (found,) = profile_document([report("transpose")])["profiles"]
    assert found["modelled_time_us"]["low"] is None and found["modelled_time_us"]["effects"] == []


def test_a_comparison():
    pair = [compare(report("transpose"), report("transpose:padded"))]
    (found,) = json.loads(to_text(comparison_document(pair)))["comparisons"]
    ratio = found["time_ratio_second_to_first"]
    times = [found[which]["modelled_time_us"]["value"] for which in ("first", "second")]
    assert ratio["value"] == pytest.approx(times[1] / times[0]) and ratio["low"] is None
    assert found["is_distinguishable"] is None and found["reasons"]


def test_numbers_that_json_does_not_have():
    assert plain({"a": float("nan"), "b": (float("inf"), 1.0)}) == {"a": None, "b": [None, 1.0]}


def test_a_class_without_measurements_has_no_error():
    assert class_error("no such class") is None
