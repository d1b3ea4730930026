"""Damaged PTX gives a module or a UserError with a place, never anything else."""

import random
from pathlib import Path

import pytest

from backends.ptx import parse_ptx
from ir.diagnostics import UserError

DATA = Path(__file__).parents[2] / "twill" / "frontend" / "data"
CALLS = (Path(__file__).parent / "data" / "calls.ptx").read_text()
WORDS = (
    "{", "}", ";", "[", "]", "(", ")", "@%p1", "!", "~", "|", "<", ">>", "?", "-", ",", "=", "0x", "9" * 5000, "1e999",
    "0f3F800000", ".reg", ".v4", ".align 3", ".loc 1", ".param", ".extern", ".section", ".branchtargets", ".file 1",
    "$L__BB0_2:", "\x00", '"', "é", "%r1.x", "_", "WARP_SZ", "%", "generic(", "[999999999999999]", "= {",
)  # fmt: skip


def damaged(text: str, dice: random.Random) -> str:
    """A slice removed, doubled or moved, a word put in, or a character changed, up to three times."""
    for _ in range(dice.randint(1, 3)):
        start, elsewhere = dice.randrange(len(text)), dice.randrange(len(text))
        end = min(len(text), start + dice.choice((1, 1, 5, 40, 400)))
        text = dice.choice(
            (
                text[:start] + text[end:],
                text[:elsewhere] + text[start:end] + text[elsewhere:],
                text[:start] + dice.choice(WORDS) + text[start:],
                text[:start] + chr(dice.randrange(32, 127)) + text[start + 1 :],
            )
        )
    return text


def survive(count: int, seed: int) -> tuple[int, int]:
    """How many damaged files were accepted, and how many refused."""
    dice = random.Random(seed)
    reduce = (DATA / "reduce_sm90.ptx").read_text()
    texts = [CALLS] * 8 + [reduce] * 3 + [(DATA / "gemm_sm100.ptx").read_text()]
    refused = 0
    for _ in range(count):
        text = damaged(dice.choice(texts), dice)
        try:
            parse_ptx(text, "k.ptx")
        except UserError as error:
            (diagnostic,) = error.diagnostics
            assert diagnostic.rule.startswith("ptx-")
            assert diagnostic.location is not None
            assert diagnostic.location.line >= 1
            refused += 1
    return count - refused, refused


def test_damaged_files() -> None:
    accepted, refused = survive(200, seed=1)
    assert accepted
    assert refused


@pytest.mark.slow
def test_many_damaged_files() -> None:
    accepted, refused = survive(5000, seed=2)
    assert accepted > 300
    assert refused > 500
