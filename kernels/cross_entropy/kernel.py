"""Cross entropy of each row from its logits: one pass over the vocabulary with a running log-sum-exp."""

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def cross_entropy_kernel(logits_ptr, targets_ptr, loss_ptr, lse_ptr, vocab, BLOCK: tl.constexpr):
    """Write lse = log(sum(exp(logits))) and loss = lse - logits[target] of one row of logits (rows, vocab), in fp32."""
    row = tl.program_id(0)
    logits_row = logits_ptr + row.to(tl.int64) * vocab
    offs = tl.arange(0, BLOCK)

    row_max = float("-inf")
    row_sum = 0.0
    for start in tl.range(0, vocab, BLOCK):
        x = tl.load(logits_row + start + offs, mask=start + offs < vocab, other=float("-inf"))
        x = x.to(tl.float32) * LOG2_E
        new_max = tl.maximum(row_max, tl.max(x, 0))
        row_sum = row_sum * tl.exp2(row_max - new_max) + tl.sum(tl.exp2(x - new_max), 0)
        row_max = new_max

    lse = (row_max + tl.log2(row_sum)) * LN_2
    target = tl.load(targets_ptr + row)
    tl.store(lse_ptr + row, lse)
    tl.store(loss_ptr + row, lse - tl.load(logits_row + target).to(tl.float32))


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and log-sum-exp (rows, fp32) of contiguous logits (rows, vocab) and integer targets (rows)."""
    loss = torch.empty(logits.shape[0], device=logits.device, dtype=torch.float32)
    lse = torch.empty_like(loss)
    cross_entropy_kernel[(logits.shape[0],)](
        logits, targets, loss, lse, logits.shape[1], BLOCK=2048, num_warps=8, num_stages=2
    )
    return loss, lse
