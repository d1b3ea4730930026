"""Damaged PTX never gives anything but a kernel or a UserError."""

import random
from pathlib import Path

import pytest

from backends.ptx.parser import parse_ptx
from backends.ptx.tokens import Source, tokenize
from ir.diagnostics import UserError
from twill.frontend.ptx import load_ptx

DATA = Path(__file__).parent / "data"
WORDS = (
    "{",
    "}",
    ";",
    "[",
    "@%p1",
    "bra",
    ".reg",
    "%r1",
    "-",
    "0x",
    ".loc 1",
    "ret;",
    "$L__BB0_2:",
    "(",
    "<",
    "\x00",
    '"',
)


def damaged(text: str, dice: random.Random) -> str:
    """A slice removed, doubled or moved, a word put in, or a character changed, up to three times."""
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(len(text))
        end = min(len(text), start + dice.choice((1, 1, 5, 40, 400)))
        piece, elsewhere = text[start:end], dice.randrange(len(text))
        text = dice.choice(
            (
                text[:start] + text[end:],
                text[:elsewhere] + piece + text[elsewhere:],
                text[:start] + dice.choice(WORDS) + text[start:],
                text[:start] + chr(dice.randrange(32, 127)) + text[start + 1 :],
            )
        )
    return text


def sources() -> list[str]:
    """Small files of one kernel each, and now and then a long one with all that Triton writes."""
    head, *entries = (DATA / "reduce_sm90.ptx").read_text().split(".visible .entry")
    return [f"{head}.visible .entry{entry}" for entry in entries] * 20 + [(DATA / "gemm_sm100.ptx").read_text()]


def survive(tmp_path: Path, count: int, seed: int) -> tuple[int, int]:
    dice = random.Random(seed)
    texts, path, accepted = sources(), tmp_path / "k.ptx", 0
    for _ in range(count):
        text = damaged(dice.choice(texts), dice)
        path.write_text(text)
        try:
            for entry in parse_ptx(text).entries:
                list(load_ptx(path, entry.name).loops())
            accepted += 1
        except UserError as error:
            assert error.diagnostics[0].rule.startswith(("ptx-", "missing"))
    return accepted, count - accepted


def test_damaged_files(tmp_path: Path) -> None:
    accepted, refused = survive(tmp_path, 2000, seed=1)
    assert accepted and refused


@pytest.mark.slow
def test_many_damaged_files(tmp_path: Path) -> None:
    accepted, refused = survive(tmp_path, 5000, seed=2)
    assert accepted and refused


def test_random_characters_are_tokens_or_an_error() -> None:
    dice = random.Random(3)
    for _ in range(2000):
        text = "".join(chr(dice.randrange(9, 127)) for _ in range(dice.randrange(60)))
        try:
            tokens = tokenize(Source("k.ptx", text))
            assert "".join(t.text for t in tokens) in text.replace(" ", "") or len(tokens) > 1
        except UserError as error:
            assert error.diagnostics[0].location is not None
