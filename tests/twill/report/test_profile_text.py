"""A profile for the terminal, and two compared."""

from __future__ import annotations

from dataclasses import replace

from backends.model.fidelity import ClassError
from backends.model.report.compare import compare
from backends.model.report.report import report_of
from tests.backends.model.report.profiles import report
from twill.report.profile.text import headline, profile_text
from twill.report.profile.versus import comparison_text, verdict


def test_the_headline_has_the_interval_the_machine_and_the_error():
    modelled = report("transpose", with_interval=True).modelled
    told = headline(modelled)
    assert told.startswith("transpose ROWS=512 COLS=512: modelled ")
    assert " us to " in told and "a6000 (sm_86), plain kernels: error " in told
    unknown = replace(modelled, error=None)
    assert headline(unknown).endswith("plain kernels: error not measured")
    known = replace(modelled, error=ClassError(13.4, 30.0, 62.0, 20))
    assert headline(known).endswith("plain kernels: error 13.4 % (90th percentile 30 %, 20 published measurements)")


def test_the_text_has_every_part():
    found = report("transpose")
    told = profile_text(found)
    for words in ("limited by", "occupancy 100%", "waves", "roofline: no floating-point work", "Busy", "Stalls"):
        assert words in told
    assert "kernel.cu:12" in told and "[uncoalesced]" in told
    assert "Lines" not in told
    assert all(len(line) == len(line.rstrip()) for line in told.splitlines())


def test_lines_on_request():
    told = profile_text(report("transpose"), with_lines=True)
    (row,) = [line for line in told.splitlines() if line.startswith("kernel.cu:12 ")]
    assert "|          18 |" in row and "y[static_cast" in row


def test_notes_are_told():
    modelled = report("transpose").modelled
    from ir.diagnostics import Diagnostic

    noted = report_of(replace(modelled, notes=(Diagnostic("some-rule", "something was assumed"),)))
    assert "* something was assumed [some-rule]" in profile_text(noted)


def test_two_compared():
    found = compare(report("transpose"), report("transpose:padded"))
    told = comparison_text(found)
    assert "no interval was asked for" in told and "What changed (modelled)" in told
    same = report("transpose", with_interval=True)
    assert verdict(compare(same, same)).startswith("not distinguishable: ")
