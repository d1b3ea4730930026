"""Two-dimensional convolution as an implicit GEMM: pixels by (filter taps x channels) by output channels."""

import torch
import triton
import triton.language as tl


@triton.jit
def convolution_kernel(
    x_ptr,
    w_ptr,
    y_ptr,
    batch,
    height,
    width,
    channels,
    out_height,
    out_width,
    out_channels,
    TAPS_H: tl.constexpr,
    TAPS_W: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_C: tl.constexpr,
    EVEN_C: tl.constexpr,
):
    """Correlate x (batch, height, width, channels) with w (TAPS_H, TAPS_W, channels, out_channels).

    y is (batch, out_height, out_width, out_channels); all contiguous, sums in fp32. The loop takes BLOCK_C
    channels of one tap at a time. EVEN_C promises that BLOCK_C divides channels.
    """
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_c = tl.arange(0, BLOCK_C)
    mask_m = offs_m < batch * out_height * out_width
    mask_n = offs_n[None, :] < out_channels

    # The input pixel under tap (0, 0) of each output pixel; it may lie outside.
    image = offs_m // (out_height * out_width)
    corner_h = offs_m // out_width % out_height * STRIDE - PADDING
    corner_w = offs_m % out_width * STRIDE - PADDING

    channel_blocks = tl.cdiv(channels, BLOCK_C)
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for step in tl.range(0, TAPS_H * TAPS_W * channel_blocks):
        tap = step // channel_blocks
        c = step % channel_blocks * BLOCK_C + offs_c
        h = corner_h + tap // TAPS_W
        w = corner_w + tap % TAPS_W
        inside = mask_m & (h >= 0) & (h < height) & (w >= 0) & (w < width)
        pixel = ((image * height + h) * width + w).to(tl.int64)

        mask_x = inside[:, None] if EVEN_C else inside[:, None] & (c[None, :] < channels)
        mask_w = mask_n if EVEN_C else mask_n & (c[:, None] < channels)
        x = tl.load(x_ptr + pixel[:, None] * channels + c[None, :], mask=mask_x, other=0.0)
        weight = tl.load(w_ptr + (tap * channels + c[:, None]) * out_channels + offs_n[None, :], mask=mask_w, other=0.0)
        acc = tl.dot(x, weight, acc)

    y_ptrs = y_ptr + offs_m[:, None].to(tl.int64) * out_channels + offs_n[None, :]
    tl.store(y_ptrs, acc.to(y_ptr.dtype.element_ty), mask=mask_m[:, None] & mask_n)


def convolution(x: torch.Tensor, w: torch.Tensor, STRIDE: int = 1, PADDING: int = 0) -> torch.Tensor:
    """Convolve contiguous NHWC x with w (taps_h, taps_w, channels, out_channels); returns NHWC."""
    batch, height, width, channels = x.shape
    taps_h, taps_w, _, out_channels = w.shape
    out_height = (height + 2 * PADDING - taps_h) // STRIDE + 1
    out_width = (width + 2 * PADDING - taps_w) // STRIDE + 1
    y = torch.empty((batch, out_height, out_width, out_channels), device=x.device, dtype=x.dtype)
    grid = (triton.cdiv(batch * out_height * out_width, 128), triton.cdiv(out_channels, 64))
    convolution_kernel[grid](
        *(x, w, y, batch, height, width, channels, out_height, out_width, out_channels),
        TAPS_H=taps_h,
        TAPS_W=taps_w,
        STRIDE=STRIDE,
        PADDING=PADDING,
        BLOCK_M=128,
        BLOCK_N=64,
        BLOCK_C=32,
        EVEN_C=channels % 32 == 0,
        num_warps=4,
        num_stages=3,
    )
    return y
