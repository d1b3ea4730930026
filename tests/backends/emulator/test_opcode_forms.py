"""Every opcode form that the compilers make of the shipped tasks is implemented, or refused for a reason given here.

`python -m tests.backends.emulator.corpus` prints the table: each opcode with the programs that have it, how many
instructions, how many of them with a native form, and whether the device implements it.
"""

from __future__ import annotations

import pytest

from tests.backends.emulator.corpus import Form, collect, programs

# Opcode -> why the device refuses it.
REFUSED: dict[str, str] = {}


def unexpected(forms: dict[str, Form]) -> dict[str, set[str]]:
    """What is refused and not listed."""
    return {opcode: form.refused for opcode, form in forms.items() if form.refused and opcode not in REFUSED}


def test_forms_of_the_cuda_tasks() -> None:
    forms = collect(programs(("cuda",), everything=False))
    assert len(forms) > 100
    assert not unexpected(forms)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("language", ["cuda", "triton", "gluon"])
def test_forms_of_the_tasks_and_their_variants(language: str) -> None:
    forms = collect(programs((language,)))
    assert len(forms) > 50
    assert not unexpected(forms)


def test_a_form_that_is_not_there_is_seen() -> None:
    form = Form(refused={"no"})
    assert unexpected({"fancy.new.b32": form}) == {"fancy.new.b32": {"no"}}
