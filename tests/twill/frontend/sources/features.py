"""Kernels that use one feature of Triton's language each."""

import triton
import triton.language as tl


@triton.jit
def descriptors(a_desc, b_desc, c_ptr, m, n, k, BLOCK: tl.constexpr):
    c_desc = tl.make_tensor_descriptor(c_ptr, [m, n], [n, 1], [BLOCK, BLOCK])
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in tl.range(0, k, BLOCK, num_stages=4, warp_specialize=True):
        a = a_desc.load([0, start])
        b = b_desc.load([start, 0])
        acc = tl.dot(a, b, acc, input_precision="ieee")
    c_desc.store([0, 0], acc.to(tl.float16))


@triton.jit
def _plus(a, b):
    return a + b


@triton.jit
def reductions(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    total = 0.0
    for start in range(0, n, BLOCK):
        x = tl.load(x_ptr + start + cols, mask=start + cols < n, other=0.0)
        biggest, at = tl.max(x, 0, return_indices=True)
        sums = tl.associative_scan(x, 0, _plus, reverse=True)
        total += biggest + at + tl.sum(sums)
    tl.store(out_ptr, total)


@triton.jit
def memory(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    for start in tl.range(0, n, BLOCK, flatten=True, disallow_acc_multi_buffer=True, loop_unroll_factor=1):
        plain = tl.load(x_ptr + cols)
        x = tl.load(x_ptr + start + cols, mask=cols < n, cache_modifier=".cg", eviction_policy="evict_first")
        v = tl.load(x_ptr + start, volatile=True)
        tl.atomic_add(out_ptr + cols, x, mask=cols < n, sem="release", scope="sys")
        tl.atomic_max(out_ptr + cols, x)
        tl.store(out_ptr + cols, plain + v, cache_modifier=".wt")


@triton.jit
def assembly(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    for start in range(0, n, BLOCK):
        x = tl.load(x_ptr + start + cols)
        y = tl.inline_asm_elementwise("ex2.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)
        tl.store(out_ptr + start + cols, y)


@triton.jit
def _pair(a, b):
    return a + b, a - b


@triton.jit
def mapped(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    for start in range(0, n, BLOCK):
        x = tl.load(x_ptr + start + cols)
        low, high = tl.map_elementwise(_pair, x, x + 1.0)
        tl.store(out_ptr + start + cols, low * high)


@triton.jit
def scaled_dot(a_ptr, b_ptr, s_ptr, c_ptr, n, BLOCK: tl.constexpr):
    rows, cols = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    acc = tl.zeros([BLOCK, BLOCK], tl.float32)
    for _ in range(0, n):
        a = tl.load(a_ptr + rows * BLOCK + cols)
        b = tl.load(b_ptr + rows * BLOCK + cols)
        scale = tl.load(s_ptr + rows * (BLOCK // 32) + tl.arange(0, BLOCK // 32)[None, :])
        acc = tl.dot_scaled(a, scale, "e4m3", b, scale, "e5m2", acc)
    tl.store(c_ptr + rows * BLOCK + cols, acc)


@triton.jit
def shapes(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    rows, cols = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    for start in tl.static_range(2):
        x = tl.load(x_ptr + start + rows * BLOCK + cols)
        y = tl.trans(tl.reshape(x, [BLOCK, BLOCK]))
        low, high = tl.split(tl.join(y, x))
        tl.store(out_ptr + rows * BLOCK + cols, tl.where(low > high, low, high).to(tl.bfloat16))
    for i in range(3, 20, 4):
        tl.store(out_ptr + i, n)
