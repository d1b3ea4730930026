"""The page of a profile: well-formed, nothing from elsewhere, everything called modelled, strings escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from backends.model.report.metrics import METRICS
from backends.model.report.report import Report, report_of
from tests.backends.model.report.profiles import report
from tests.twill.report.test_html import FETCHING, Checker
from twill.report.profile.html import colour_of, profile_html
from twill.report.profile.roofline_chart import roofline_chart
from twill.report.profile.text import error_text

CASES = [("transpose", ""), ("sgemm:square", "M=256 N=128 K=64"), ("softmax", "")]


def _checked(*reports: Report) -> tuple[str, Checker]:
    text = profile_html(reports)
    page = Checker()
    page.feed(text)
    page.close()
    assert page.open == []
    return text, page


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_well_formed_and_self_contained(name: str, sizes: str):
    text, page = _checked(report(name, sizes=sizes))
    assert set(page.ids.values()) == {1}
    assert not re.search(
        r"(?:https?:)?//[\w.-]+\.\w|@import|url\((?!#)", re.sub(r"<td class=\"code\".*?</td>", "", text)
    )
    assert not FETCHING & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "action") or a[1].startswith("on")]


def test_it_says_what_the_report_says():
    found = report("transpose", with_interval=True)
    _text, page = _checked(found)
    for advice in found.advice:
        assert advice.message in page.text and advice.remedy in page.text
    assert all(metric.name in page.text for metric in METRICS)
    assert "18 / 4" in page.text, "sectors a request beside the ideal"
    assert "modelled" in page.text and error_text(found.modelled) in page.text
    assert all(effect.group in page.text for effect in found.modelled.time_us.effects)


def test_several_sizes_on_one_page():
    _text, page = _checked(report("transpose"), report("transpose", sizes="ROWS=1024 COLS=1024"))
    assert "transpose ROWS=512 COLS=512" in page.text and "transpose ROWS=1024 COLS=1024" in page.text


def test_strings_are_escaped():
    m = report("transpose").modelled
    sources = {file: text.replace("threadIdx", "<b>&threadIdx") for file, text in m.compiled.sources.items()}
    odd = report_of(replace(m, kernel="<script>", compiled=replace(m.compiled, sources=sources)))
    text, page = _checked(odd)
    assert "&lt;script&gt;" in text and page.tags["script"] == 1
    assert "<b>&threadIdx" in page.text


def test_the_point_of_the_roofline_lies_under_the_roof():
    chart = roofline_chart(report("sgemm:square", sizes="M=256 N=128 K=64").roofline)
    x, y = (float(re.search(rf'<circle[^>]*{c}="([\d.]+)"', chart)[1]) for c in ("cx", "cy"))  # type: ignore[index]
    roof = re.search(r'd="M([\d. L]+)"', chart)
    assert roof is not None
    points = [tuple(map(float, p.split())) for p in roof[1].split("L")]
    above = next(y0 + (y1 - y0) * (x - x0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(points) if x0 <= x <= x1)
    assert y > above, "downwards is less"
    assert roofline_chart(report("transpose").roofline) == "", "no floating-point work, no roofline"


def test_states_keep_their_colours():
    assert colour_of("wait") != colour_of("barrier")
    assert colour_of("unheard of") == "#8a8f98"
