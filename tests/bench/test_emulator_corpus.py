"""The bench of the emulated device's corpus: arguments, comparison, and how rows come from what workers leave."""

import json
import math
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path[:0] = [str(Path(__file__).parents[2] / "bench")]

import emulator_corpus  # noqa: E402
from emulator_corpus_arguments import draw, tensors  # noqa: E402
from emulator_corpus_compare import difference  # noqa: E402
from emulator_corpus_uses import USES, Use, run_use  # noqa: E402

USE = Use("package.f#1", "package:f", "")


def test_arguments_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = (draw("q x:tensor(3,5) scale=0.5 ids:classes(4,7)") for _ in range(2))
    assert list(first) == ["q", "x", "scale", "ids"] and first["scale"] == 0.5
    assert torch.equal(first["q"], second["q"]) and first["q"].dtype == torch.float16
    assert first["x"].shape == (3, 5) and first["x"].requires_grad
    assert first["ids"].shape == (4,) and not first["ids"].is_floating_point() and int(first["ids"].max()) < 7
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", USES)
def test_the_arguments_of_every_use_can_be_drawn(name: str) -> None:
    assert tensors(draw(USES[name].words))


def test_a_use_gives_results_then_gradients() -> None:
    result, gradient = run_use(Use("silu", "torch.nn.functional:silu", "input:tensor(2,3)"))
    assert result.shape == gradient.shape == (2, 3) and not result.requires_grad


@pytest.mark.parametrize(
    ("got", "want", "is_wrong"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, 2.001], False),
        ([1.0, 2.0], [1.0, 2.1], True),
        ([math.nan, 2.0], [math.nan, 2.0], False),
        ([math.nan, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [math.inf, 2.0], True),
        ([-math.inf, 2.0], [math.inf, 2.0], True),
    ],
)
def test_difference(got: list[float], want: list[float], is_wrong: bool) -> None:
    assert difference({"x": torch.tensor(got)}, {"x": torch.tensor(want)}).is_wrong == is_wrong


def test_integers_differ_by_one_and_tensors_may_lack() -> None:
    one, two = ({"x": torch.tensor([n])} for n in (1, 2))
    assert not difference(one, one).is_wrong and difference(one, two).is_wrong and difference(one, {}).is_wrong


def _leave(folder: Path, role: str, *lines: dict) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{USE.file}.{role}.jsonl").write_text(text)


def test_a_launch_that_never_ended_is_a_row_of_its_own(tmp_path: Path) -> None:
    agreed = {"kernel": "package.m:a", "status": "agrees", "error": 1e-4}
    started = {"kernel": "package.m:b", "status": "started"}
    _leave(tmp_path, "device", {**agreed, "status": "started"}, agreed, started)
    row = emulator_corpus.row_of(USE, tmp_path, {"device": "process ended with code -11", "interpreter": ""})
    assert [launch.status for launch in row.launches] == ["agrees", "crash"] and row.status == "incomplete"
    row = emulator_corpus.row_of(USE, tmp_path, {"device": "time-limit", "interpreter": ""})
    assert row.launches[1].status == "timeout" and row.interpreter_end == "no-answer"
    kernels = emulator_corpus.kernels_of([row])
    assert [(kernel.kernel, kernel.status) for kernel in kernels] == [
        ("package.m:a", "agrees"),
        ("package.m:b", "timeout"),
    ]
    (summary,) = [emulator_corpus.summarize("package", kernels, 5)]
    assert (summary.known, summary.seen, summary.ran, summary.ran_fraction) == (5, 2, 1, 0.5)
    assert "package.m:b" in emulator_corpus.table([summary], kernels, [row])


def test_a_result_that_differs_makes_a_use_wrong(tmp_path: Path) -> None:
    _leave(tmp_path, "device", {"end": "", "against_interpreter": "", "against_reference": "`0` differs"})
    _leave(tmp_path, "interpreter", {"end": ""})
    ended = {"device": "", "interpreter": ""}
    assert emulator_corpus.row_of(USE, tmp_path, ended).status == "wrong"
    _leave(tmp_path, "device", {"end": "", "against_interpreter": ""})
    assert emulator_corpus.row_of(USE, tmp_path, ended).status == "agrees"
    _leave(tmp_path, "device", {"end": ""})
    assert emulator_corpus.row_of(USE, tmp_path, ended).status == "ran"
