"""Diffs as models write them: found in spite of wrong numbers and drifted whitespace, refused where they fit badly."""

from __future__ import annotations

import difflib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiml.propose.llm.patch import MisfitError, patched

TEXT = """int first() {
    int x = 1;
    return x;
}

int second() {
    int x = 1;
    return x;
}

int third() {
\tint y = 3;   
    for (int i = 0; i < 4; ++i)
        y += i;
    return y;
}
"""  # noqa: W291 - a space at the end of a line is what is tested


def test_a_diff_as_it_should_be() -> None:
    diff = "--- a/k.cu\n+++ b/k.cu\n@@ -10,4 +10,4 @@\n int third() {\n-\tint y = 3;   \n+    int y = 4;\n     for (int i = 0; i < 4; ++i)\n         y += i;\n"  # noqa: E501
    assert patched(TEXT, diff) == TEXT.replace("\tint y = 3;   ", "    int y = 4;")


@pytest.mark.parametrize(
    "header", ["@@ -999,3 +999,3 @@", "@@ -1 +1 @@ int first() {", "@@ ... @@", "@@", "@@ -12,99 +1,2 @@", ""]
)
def test_wrong_or_missing_line_numbers_do_no_harm(header: str) -> None:
    diff = f"{header}\n     for (int i = 0; i < 4; ++i)\n-        y += i;\n+        y += 2 * i;\n     return y;\n"
    assert patched(TEXT, diff) == TEXT.replace("y += i;", "y += 2 * i;")


def test_drifted_whitespace_is_found_and_context_keeps_its_own() -> None:
    diff = "@@\n int third() {\n-  int y = 3;\n+    int y = 5;\n for (int i=0; i<4; ++i)\n"
    assert patched(TEXT, diff) == TEXT.replace("\tint y = 3;   ", "    int y = 5;")


def test_context_may_lack_its_leading_space() -> None:
    diff = "@@\nint third() {\n-\tint y = 3;   \n+    int y = 6;\n    for (int i = 0; i < 4; ++i)\n"
    assert patched(TEXT, diff) == TEXT.replace("\tint y = 3;   ", "    int y = 6;")


def test_new_lines_follow_the_indentation_of_those_that_go() -> None:
    text = "def f(x):\n    if x:\n        y = 1\n        return y\n"
    diff = "@@\n if x:\n-    y = 1\n+    y = 2\n+    z = y\n     return y\n"
    assert patched(text, diff) == "def f(x):\n    if x:\n        y = 2\n        z = y\n        return y\n"


def test_a_little_context_may_be_wrong() -> None:
    diff = "@@\n // this line is not there\n     for (int i = 0; i < 4; ++i)\n-        y += i;\n+        y -= i;\n"
    assert "y -= i;" in patched(TEXT, diff)


def test_two_places_are_refused_unless_the_number_names_one() -> None:
    diff = "@@ -{0},3 +{0},3 @@\n     int x = 1;\n-    return x;\n+    return 2 * x;\n }}\n"
    with pytest.raises(MisfitError, match="lines 2, 7"):
        patched(TEXT, diff.format(4))
    second = patched(TEXT, diff.format(7))
    assert second.count("2 * x") == 1 and second.index("2 * x") > second.index("second")


@pytest.mark.parametrize(
    ("diff", "says"),
    [
        ("@@\n-    return z;\n+    return w;\n", "fits nowhere"),
        ("@@\n+    return w;\n", "fits nowhere"),
        (" int first() {\n", "no line that begins"),
        ("", "no line that begins"),
        ("@@\n-        y += i;\n+        y -= i;\n@@\n-        y += i;\n+        y *= i;\n", "same lines"),
        ("@@\n-\n+int z;\n", "fits nowhere"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(diff: str, says: str) -> None:
    with pytest.raises(MisfitError, match=says):
        patched(TEXT, diff)


def test_hunks_in_any_order_and_a_line_that_goes() -> None:
    diff = "@@\n-        y += i;\n+        y += 7;\n@@\n int second() {\n-    int x = 1;\n     return x;\n"
    found = patched(TEXT, diff)
    assert "y += 7;" in found and found.count("int x = 1;") == 1


LINES = st.lists(st.sampled_from([f"line {n};" for n in range(30)] + ["", "    }"]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=300)
@given(LINES, LINES, st.integers(0, 5), st.integers(0, 10_000))
def test_every_real_diff_applies_or_says_that_it_is_ambiguous(
    old: list[str], new: list[str], context: int, seed: int
) -> None:
    """difflib's own diffs with right numbers always apply; with wrong ones they give the same text or are refused."""
    before, after = "".join(f"{x}\n" for x in old), "".join(f"{x}\n" for x in new)
    lines = list(difflib.unified_diff(old, new, lineterm="", n=context))
    chance = random.Random(seed)
    wrong = [f"@@ -{chance.randint(1, 99)} +1 @@" if x.startswith("@@") else x for x in lines]
    for diff in (lines, wrong):
        try:
            found = patched(before, "\n".join(diff))
        except MisfitError as error:
            is_unclear = "equally well" in str(error) or "same lines" in str(error)
            assert old == new or context == 0 or is_unclear or not any(x.strip() for x in old)
        else:
            assert found == after or diff is wrong
