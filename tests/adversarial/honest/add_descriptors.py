#| task = "triton_add"
#| class = "descriptors"
#| does = "tensor descriptors made in the kernel, which know where the vectors end, in place of masks"
#| overrides = { "constants.BLOCK" = 1024 }
import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, BLOCK: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, [n], [1], [BLOCK])
    y = tl.make_tensor_descriptor(y_ptr, [n], [1], [BLOCK])
    z = tl.make_tensor_descriptor(z_ptr, [n], [1], [BLOCK])
    at = tl.program_id(0) * BLOCK
    z.store([at], x.load([at]) + y.load([at]))
