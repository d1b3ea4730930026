"""An ordinary Triton script for CUDA: autotuned and heuristic kernels, views of one storage, checks of its results."""

import argparse

import torch
import triton
import triton.language as tl
import triton.testing


@triton.jit
def add_kernel(x_ptr, y_ptr, n, stride, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    total = tl.load(x_ptr + offsets * stride, mask=mask) + tl.load(y_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, total, mask=mask)


@triton.autotune(configs=[triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 128}, num_warps=2)], key=["n"])
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def scale_kernel(x_ptr, n, factor, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(x_ptr + offsets, tl.load(x_ptr + offsets) * factor)
    else:
        tl.store(x_ptr + offsets, tl.load(x_ptr + offsets, mask=offsets < n) * factor, mask=offsets < n)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--beyond", type=int, default=0)
    n = parser.parse_args().n
    torch.manual_seed(0)
    pairs = torch.randn(n, 2, device="cuda")
    assert pairs.is_cuda
    before = pairs.clone()
    table = torch.stack([pairs[:, 1], torch.ones(n, device="cuda")])
    wanted = table[0] + pairs[:, 0]
    add_kernel[(triton.cdiv(n, 128),)](pairs, table, n + parser.parse_args().beyond, 2, BLOCK=128)
    torch.cuda.synchronize()
    torch.testing.assert_close(table[0], wanted)
    torch.testing.assert_close(table[1], torch.ones(n, device="cuda"))
    torch.testing.assert_close(pairs, before)
    scale_kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](table[1], n, 3.0)
    assert torch.allclose(table[1], torch.full((n,), 3.0, device="cuda")), table[1]
    triton.testing.do_bench(lambda: scale_kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](table[1], n, 0.5))
    assert table[1].max() == 1.5
    print("all good")


if __name__ == "__main__":
    main()
