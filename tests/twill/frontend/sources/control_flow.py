"""Kernels of scalars with all kinds of control flow; each stores what its Python twin in the test appends."""

import triton
import triton.language as tl


@triton.jit
def early_return(out, n):
    pid = tl.program_id(0)
    if pid >= n:
        return
    total = 0
    for i in range(0, n):
        total += i
    tl.store(out, total)


@triton.jit
def early_return_inside(out, n):
    pid = tl.program_id(0)
    if pid < n:
        if pid > 3:
            return
        tl.store(out, 1)
    else:
        tl.store(out, 2)
    tl.store(out + 1, 3)


@triton.jit
def _pick(x, n):
    if n > 4:
        return x * 2
    if n > 2:
        return x - 1
    return x + 1


@triton.jit
def call_with_returns(out, n):
    total = 0
    for i in range(0, n):
        total += _pick(i, total)
    tl.store(out, total)


@triton.jit
def nested_ifs(out, n):
    pid = tl.program_id(0)
    total = 0
    count = 0
    for i in range(0, n):
        if i % 2 == 0:
            if pid > i:
                total += i
                count += 1
            else:
                total -= pid
        elif pid == 3:
            count = total
    tl.store(out, total)
    tl.store(out + 1, count)


@triton.jit
def nested_loops(out, n):
    total = 0
    for i in range(0, n):
        for j in range(i, 2 * n, 3):
            total += i * j
        if total > 20:
            for k in range(5):
                total -= k
    tl.store(out, total)


@triton.jit
def while_loop(out, n):
    total = 1
    while total < n:
        total = total * 2 + 1
    tl.store(out, total)


@triton.jit(noinline=True)
def _kept(x):
    return x + 1


@triton.jit
def call_not_inlined(out, n):
    total = 0
    for _ in range(0, n):
        total = _kept(total)
    tl.store(out, total)
