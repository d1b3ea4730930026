"""Answers become edits, or typed reasons: every malformed answer has its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiml.edit import Edit
from optiml.propose.llm.diagnosis import Diagnosis, read_diagnosis
from optiml.propose.llm.fences import blocks, fenced
from optiml.propose.llm.provider import End, Reply
from optiml.propose.llm.reading import EditReader, Fault, Rejected
from tests.optiml.propose.llm.situations import answer, context

CUDA, TRITON = context("transpose"), context("softmax")
SOURCE = CUDA.candidate.source
FASTER = SOURCE.replace("constexpr int STRIPE = 8;", "constexpr int STRIPE = 4;")
DIFF = "@@\n constexpr int TILE = 32;\n-constexpr int STRIPE = 8;\n+constexpr int STRIPE = 4;\n"


def read(text: str, end: End = End.COMPLETE, triton: bool = False) -> Edit | Rejected:
    asked = TRITON if triton else CUDA
    return EditReader(asked, "llm:test", asked.candidate, (asked.candidate.key,))(Reply(text, end))


def edit(text: str, triton: bool = False) -> Edit:
    found = read(text, triton=triton)
    assert isinstance(found, Edit), found
    return found


def test_a_whole_file() -> None:
    found = edit(answer(FASTER))
    assert found.result.source == FASTER and found.result.overrides == {}
    assert (found.tag, found.limiter, found.why, found.proposer) == ("try:1", "l1", "To try it.", "llm:test")


@pytest.mark.parametrize("mark", ["cuda", "cpp", "CUDA", "c++"])
def test_marks_that_mean_the_language(mark: str) -> None:
    assert edit(answer(FASTER, mark)).result.source == FASTER


def test_a_diff() -> None:
    assert edit(answer(DIFF, "diff")).result.source == FASTER


def test_settings_alone() -> None:
    found = edit(answer(set={"launch.block": [32, 4]}))
    assert found.result.source == SOURCE and found.result.overrides == {"launch.block": [32, 4]}


def test_triton_with_settings_and_a_template_argument() -> None:
    source = TRITON.candidate.source
    found = edit(answer(source + "\nX = 1\n", "python", set={"launch.num_warps": 8}), triton=True)
    assert found.result.overrides == {"launch.num_warps": 8}
    block = context("softmax_cuda")
    reader = EditReader(block, "p", block.candidate)
    given = reader(Reply(answer(set={"entry": "softmax_block<THREADS, 4>", "constants.THREADS": 128})))
    assert isinstance(given, Edit) and given.result.overrides["constants.THREADS"] == 128


def test_an_unknown_limiter_is_the_profile_s() -> None:
    assert edit(answer(FASTER, limiter="vibes")).limiter == CUDA.limiter


FENCE = "```"
FAULTS: dict[str, tuple[str, Fault]] = {
    "empty": ("  \n", Fault.EMPTY),
    "prose": ("I would tile it.", Fault.MALFORMED),
    "no JSON": (f"{FENCE}cuda\n{FASTER}{FENCE}\n", Fault.MALFORMED),
    "bad JSON": (f"{FENCE}json\n{{'tag': 1}}\n{FENCE}\n", Fault.MALFORMED),
    "no object": (f"{FENCE}json\n[]\n{FENCE}\n", Fault.MALFORMED),
    "not a number": (f'{FENCE}json\n{{"tag": NaN}}\n{FENCE}\n', Fault.MALFORMED),
    "half a character": (answer(FASTER).replace("To try it.", "\\ud800"), Fault.MALFORMED),
    "deep JSON": (f"{FENCE}json\n{'[' * 100_000}\n{FENCE}\n", Fault.MALFORMED),
    "two JSON blocks": (answer() + answer(FASTER), Fault.MALFORMED),
    "no tag": (answer(FASTER, tag=None), Fault.MALFORMED),
    "a long tag": (answer(FASTER, tag="x" * 100), Fault.MALFORMED),
    "a tag of lines": (answer(FASTER, tag="a\nb"), Fault.MALFORMED),
    "no why": (answer(FASTER, why=None), Fault.MALFORMED),
    "no change at all": (answer(), Fault.MALFORMED),
    "two files": (answer(FASTER) + f"{FENCE}cuda\n{FASTER}{FENCE}\n", Fault.MALFORMED),
    "file and diff": (answer(FASTER) + f"{FENCE}diff\n{DIFF}{FENCE}\n", Fault.MALFORMED),
    "settings are a list": (answer(FASTER, set=[1]), Fault.MALFORMED),
    "no end of the fence": (answer(FASTER).rstrip().removesuffix(FENCE), Fault.TRUNCATED),
    "cut in the middle": (answer(FASTER)[: len(FASTER) // 2], Fault.TRUNCATED),
    "the same": (answer(SOURCE), Fault.UNCHANGED),
    "the same but a comment": (answer(SOURCE + "// done\n"), Fault.UNCHANGED),
    "not C++": (answer(FASTER.replace("{", "", 1)), Fault.UNPARSABLE),
    "no kernel": (answer("int f() { return 1; }"), Fault.UNPARSABLE),
    "another kernel": (answer(FASTER.replace("transpose_naive", "transpose_best")), Fault.UNPARSABLE),
    "a huge file": (answer(FASTER + "// x\n" * 100_000), Fault.UNPARSABLE),
    "a diff that fits nowhere": (answer("@@\n-int z;\n+int w;\n", "diff"), Fault.MISFIT),
    "a diff that breaks it": (answer(DIFF.replace("= 4;", "= {;"), "diff"), Fault.UNPARSABLE),
    "nothing more": (answer(tag="none"), Fault.NOTHING),
    "tolerance": (answer(FASTER, set={"tolerance": 1.0}), Fault.FORBIDDEN),
    "reference": (answer(FASTER, set={"reference": "mine.py:f"}), Fault.FORBIDDEN),
    "source": (answer(FASTER, set={"source": "elsewhere.cu"}), Fault.FORBIDDEN),
    "sizes": (answer(FASTER, set={"sizes.verify": []}), Fault.FORBIDDEN),
    "another entry": (answer(FASTER, set={"entry": "transpose_shared"}), Fault.FORBIDDEN),
    "include": (answer(FASTER, set={"compile.include": ["/"]}), Fault.FORBIDDEN),
    "a size as a constant": (answer(FASTER, set={"constants.ROWS": 1}), Fault.FORBIDDEN),
    "a block that is no list": (answer(FASTER, set={"launch.block": 256}), Fault.FORBIDDEN),
    "a nested value": (answer(FASTER, set={"launch.block": [[1]]}), Fault.FORBIDDEN),
    "warps in CUDA": (answer(FASTER, set={"launch.num_warps": 8}), Fault.FORBIDDEN),
}  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), FAULTS.values(), ids=FAULTS)
def test_each_bad_answer_has_its_reason(text: str, fault: Fault) -> None:
    found = read(text)
    assert isinstance(found, Rejected) and found.fault is fault and found.why, found


def test_every_fault_is_tested() -> None:
    assert {fault for _, fault in FAULTS.values()} | {Fault.REFUSED} == set(Fault)


@pytest.mark.parametrize(("end", "fault"), [(End.LENGTH, Fault.TRUNCATED), (End.REFUSAL, Fault.REFUSED)])
def test_how_a_reply_ended_comes_before_what_it_says(end: End, fault: Fault) -> None:
    found = read(answer(FASTER), end)
    assert isinstance(found, Rejected) and found.fault is fault


@pytest.mark.parametrize(
    "text", ["def kernel(:\n", "x" * 10, "(" * 5000, "a" + "+a" * 20_000, "\0", "def other(): ..."]
)
def test_python_that_cannot_be_read_is_refused(text: str) -> None:
    found = read(answer(text, "python"), triton=True)
    assert isinstance(found, Rejected) and found.fault is Fault.UNPARSABLE


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet='`~{}"[]:json \ndiffcuda@+-x1', max_size=200), st.booleans())
def test_no_text_is_too_strange(text: str, triton: bool) -> None:
    assert isinstance(read(text, triton=triton), Edit | Rejected)


@given(st.text(alphabet="`~ \nab", max_size=60))
def test_nothing_gets_out_of_its_fence(text: str) -> None:
    (block,) = blocks(fenced(text, "text"))
    assert block.is_closed and block.text.rstrip("\n") == "\n".join(text.splitlines()).rstrip("\n")


DIAGNOSES: dict[str, tuple[str, Any]] = {
    "fenced": ('```json\n{"limiter": "dram", "evidence": "90 %", "advice": "tile"}\n```', ("dram", "90 %", "tile")),
    "bare": ('{"limiter": "l1", "evidence": "x"}', ("l1", "x", "")),
    "unknown": ('{"limiter": "the moon"}', Fault.MALFORMED),
    "prose": ("It is DRAM.", Fault.MALFORMED),
    "empty": ("", Fault.EMPTY),
}


@pytest.mark.parametrize(("text", "wanted"), DIAGNOSES.values(), ids=DIAGNOSES)
def test_a_diagnosis(text: str, wanted: Any) -> None:
    found = read_diagnosis(Reply(text))
    assert found == Diagnosis(*wanted) if isinstance(found, Diagnosis) else found.fault is wanted
