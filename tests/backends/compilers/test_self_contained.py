"""Sources whose text says all: recognised without being run, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.compilers import self_contained
from backends.compilers.self_contained import is_self_contained, key_parts
from ir.task import load_task

ROOT = Path(__file__).parents[3]
IMPORTS = "import triton\nimport triton.language as tl\n"
KERNEL = "\n@triton.jit\ndef kernel(x, BLOCK: tl.constexpr):\n    tl.store(x, BLOCK)\n"


@pytest.mark.parametrize(
    "more",
    [
        "",
        "LOG2_E = tl.constexpr(1.4427)\nSIZES = [16, 32]\n",
        "def _config(n):\n    return triton.Config({'BLOCK': n})\n\n"
        "tuned = triton.autotune([_config(8)], key=[])(kernel)\n",
        "if __name__ == '__main__':\n    pass\n",
    ],
)
def test_definitions_say_all(more: str) -> None:
    assert is_self_contained(IMPORTS + KERNEL + more)


@pytest.mark.parametrize(
    "more",
    [
        "import os\n",
        "from helpers import BLOCK\n",
        "from . import helpers\n",
        "import torch\nWIDTH = torch.cuda.get_device_capability()[0]\n",
        "WIDTH = len(open('width').read())\n",
        "def width():\n    return tl.cuda.num_threads()\n\nWIDTH = width()\n",
        "@triton.constexpr_function\ndef width():\n    return 1\n",
        "def late():\n    import time\n    return time.time()\n",
        "def seen(f):\n    f.width = tl.cuda.num_threads()\n    return f\n\n@seen\ndef other():\n    pass\n",
        "DEEP = " + "(" * 5000 + ")" * 5000 + "\n",
        "DEEP = 1" + " + 1" * 50000 + "\n",
        "def kernel(:\n",
    ],
)
def test_whatever_may_ask_is_run(more: str) -> None:
    assert not is_self_contained(IMPORTS + KERNEL + more)


def test_the_key_knows_text_sizes_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task(ROOT / "kernels" / "softmax")
    sizes = {"ROWS": 64, "COLS": 4096}
    keys = [key_parts(task, sizes, "sm_80"), key_parts(task, {**sizes, "COLS": 4097}, "sm_80")]
    keys.append(key_parts(task.variant("narrow"), sizes, "sm_80"))
    keys.append(key_parts(task, sizes, "sm_90"))
    monkeypatch.setenv("TRITON_DEBUG", "1")
    keys.append(key_parts(task, sizes, "sm_80"))
    assert None not in keys and len({str(k) for k in keys}) == len(keys)


def test_there_is_no_key_where_something_unknown_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task(ROOT / "kernels" / "softmax")
    sizes = {"ROWS": 64, "COLS": 4096}
    with monkeypatch.context() as context:
        context.setenv("TRITON_PTXAS_PATH", "/usr/bin/ptxas")
        assert key_parts(task, sizes, "sm_80") is None
    assert key_parts(task, sizes, "sm_80") is not None
    monkeypatch.setattr(self_contained, "_PACKAGES", ("triton", "no-such-package"))
    assert key_parts(task, sizes, "sm_80") is None


def test_a_kept_artifact_needs_neither_triton_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom backends.compilers.cache import Cache\n"
        "from backends.compilers.task import compile_task\nfrom ir.task import load_task\n"
        f"task = load_task({str(ROOT / 'kernels' / 'softmax')!r})\n"
        f"made = compile_task(task, {{'ROWS': 64, 'COLS': 4096}}, 'sm_80', Cache(Path({str(tmp_path)!r})))\n"
        "print(len(made.cubin), 'triton' in sys.modules, 'torch' in sys.modules)\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert said[0][0] == said[1][0]
    assert said[0][1:] == ["True", "True"] and said[1][1:] == ["False", "False"]
