"""Every shipped Triton kernel computes what its reference says: on the CPU, variant by variant, at awkward sizes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from ir.task import load_task, task_files

pytest.importorskip("triton")

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
KERNELS = REPOSITORY / "kernels"
TASKS = [file for file in task_files(KERNELS) if load_task(file).language == "triton"]

# Triton 3.6 makes numbers of arrays with one element, which NumPy 2.4 no longer allows.
pytestmark = pytest.mark.skipif(
    Version(version("triton")) < Version("3.7") and Version(version("numpy")) >= Version("2.4"),
    reason="the interpreter of Triton 3.6 needs a NumPy before 2.4",
)

# The interpreter's tl.dot is wrong for bf16; these variants are compiled only.
NOT_INTERPRETED = {("gemm", "bf16")}


def run_interpreted(script: str, *arguments: str | Path) -> list[Any]:
    """The JSON lines that a script of this folder prints under TRITON_INTERPRET=1."""
    # The Triton that these tests themselves import.
    places = os.pathsep.join([str(REPOSITORY), *sys.path])
    settings = {"TRITON_INTERPRET": "1", "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    environment = os.environ | settings
    command = [sys.executable, "-W", "ignore", str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def complaints(case: dict[str, Any]) -> list[str]:
    """What is wrong with a case, in words."""
    errors = [(n, e, "task") for n, e in case["errors"].items()]
    errors += [(n, e, "wrapper") for n, e in case.get("wrapper_errors", {}).items()]
    found = [f"{how}: {n} is off by {e:.3g}" for n, e, how in errors if not e <= case["tolerances"][n]]
    found += [f"stray write around {n}" for n in case["stray_writes"]]
    return found + [f"input {n} was changed" for n in case["changed_inputs"]]


@pytest.fixture(scope="module")
def cases() -> list[Any]:
    return run_interpreted("interpret.py", *TASKS)


def task_id(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@pytest.mark.parametrize("file", TASKS, ids=task_id)
def test_matches_reference(cases: list[Any], file: Path) -> None:
    mine = [case for case in cases if case["file"] == str(file)]
    expected = [
        (task.variant_name, dict(sizes))
        for task in load_task(file).all_variants()
        for sizes in task.sizes["verify"]
        if (task.name, task.variant_name) not in NOT_INTERPRETED
    ]
    assert [(case["variant"], case["sizes"]) for case in mine] == expected
    assert {str(case): complaints(case) for case in mine if complaints(case)} == {}


# Kernel, file, what to replace, by what, what must be noticed.
MUTATIONS = [
    ("attention_forward", "kernel.py", "acc = acc * alpha[:, None]", "acc = acc * 1.0", "out is off"),
    ("attention_forward", "kernel.py", "<= offs_m[:, None]", "< offs_m[:, None]", "out is off"),
    ("attention_backward", "kernel.py", "dp_t - delta[None, :]", "dp_t", "dk is off"),
    ("gemm", "kernel.py", "mask_a = mask_m if EVEN_K else", "mask_a = mask_m if True else", "c is off"),
    ("gemm", "reference.py", "a @ b}", "1.01 * (a @ b)}", "c is off"),
    ("gemm_fp8", "kernel.py", "* scale_b[None, :]", "", "c is off"),
    ("gemm_grouped", "kernel.py", "rounds * programs - tiles", "rounds * programs", "c is off"),
    ("gemm_int4", "kernel.py", "% 8) * 4", "% 4) * 8", "c is off"),
    ("gemm_split_k", "kernel.py", "b_ptrs += BLOCK_K * SPLIT_K * n", "b_ptrs += BLOCK_K * n", "c is off"),
    ("linear_attention", "kernel.py", "state = state * tl.exp2(whole)", "", "out is off"),
    ("convolution", "kernel.py", "& (h >= 0)", "", "y is off"),
    ("layer_norm", "kernel.py", "tl.where(mask, x - mean, 0.0)", "x - mean", "y is off"),
    ("softmax", "kernel.py", "tl.float32) * LOG2_E - row_max", "tl.float32) - row_max", "y is off"),
    ("rms_norm", "kernel.py", "mask=mask)\n\n\ndef", "mask=start + offs <= cols)\n\n\ndef", "stray write around y"),
    ("cross_entropy", "kernel.py", "tl.store(lse_ptr + row, lse)", "tl.store(logits_ptr + row, lse)", "was changed"),
]


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """For each mutation, everything that the checks say of it."""
    folder = tmp_path_factory.mktemp("mutants")
    files = [_mutate(folder / str(i), *mutation[:4]) for i, mutation in enumerate(MUTATIONS)]
    found = run_interpreted("interpret.py", *files)
    return [[c for case in found if case["file"] == str(f) for c in complaints(case)] for f in files]


def _mutate(folder: Path, kernel: str, name: str, old: str, new: str) -> Path:
    shutil.copytree(KERNELS / kernel, folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder / "task.toml"


@pytest.mark.parametrize("index", range(len(MUTATIONS)), ids=lambda i: f"{MUTATIONS[i][0]}-{i}")
def test_mutant_is_noticed(mutants: list[list[str]], index: int) -> None:
    assert any(MUTATIONS[index][4] in complaint for complaint in mutants[index])


def test_backward_agrees_with_autograd() -> None:
    [results] = run_interpreted("gradients.py")
    assert len(results) == 4
    assert {name: errors for name, errors in results.items() if not max(errors) < 4e-3} == {}
