"""Chain forward and backward kernels in Triton's interpreter and compare with PyTorch's own gradients; prints JSON.

Used by test_interpret.py in a child process, because TRITON_INTERPRET must be set before Triton is imported.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import torch
from torch.nn import functional

KERNELS = Path(__file__).parents[2] / "kernels"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, KERNELS / name / "kernel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual.double() - expected).abs().max() / expected.abs().max())


def attention(seq: int, head_dim: int, causal: bool) -> list[float]:
    """Errors of dq, dk and dv, each relative to the largest magnitude."""
    q, k, v, do = (torch.randn(1, 2, seq, head_dim, dtype=torch.float16) for _ in range(4))
    scale = head_dim**-0.5
    out, lse = load("attention_forward").attention_forward(q, k, v, scale, causal)
    actual = load("attention_backward").attention_backward(q, k, v, out, do, lse, scale, causal)

    leaves = [t.double().requires_grad_() for t in (q, k, v)]
    functional.scaled_dot_product_attention(*leaves, is_causal=causal).backward(do.double())
    return [error(a, leaf.grad) for a, leaf in zip(actual, leaves, strict=True)]


def layer_norm(rows: int, cols: int) -> list[float]:
    """Errors of dx, dweight and dbias, each relative to the largest magnitude."""
    x, dy = (torch.randn(rows, cols, dtype=torch.float16) for _ in range(2))
    weight, bias = (torch.randn(cols, dtype=torch.float16) for _ in range(2))
    module = load("layer_norm")
    _, mean, rstd = module.layer_norm(x, weight, bias)
    actual = module.layer_norm_backward(x, weight, dy, mean, rstd)

    leaves = [t.double().requires_grad_() for t in (x, weight, bias)]
    functional.layer_norm(leaves[0], (cols,), leaves[1], leaves[2]).backward(dy.double())
    return [error(a, leaf.grad) for a, leaf in zip(actual, leaves, strict=True)]


def main() -> None:
    torch.manual_seed(0)
    results = {
        "attention 128x64": attention(128, 64, causal=False),
        "attention 100x64": attention(100, 64, causal=False),
        "attention causal 150x128": attention(150, 128, causal=True),
        "layer_norm 37x1500": layer_norm(37, 1500),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
