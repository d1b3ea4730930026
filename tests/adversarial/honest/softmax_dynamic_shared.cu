//| task = "softmax"
//| class = "shared memory"
//| does = "a block for each row, which stays in as much dynamic shared memory as it is long"
//| overrides = { "launch.grid" = ["ROWS"], "launch.smem_bytes" = "4 * COLS" }
#include <math_constants.h>

template <class F>
__device__ float over_block(float mine, F combine) {
    __shared__ float parts[4];
    for (int d = 16; d; d /= 2) mine = combine(mine, __shfl_xor_sync(~0u, mine, d));
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = combine(combine(parts[0], parts[1]), combine(parts[2], parts[3]));
    __syncthreads();
    return mine;
}

extern "C" __global__ void __launch_bounds__(128, 12) softmax(const float* __restrict__ x, float* __restrict__ y, int rows,
                                                              int cols) {
    extern __shared__ float row[];
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    float largest = -CUDART_INF_F, sum = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) largest = fmaxf(largest, row[i] = __ldg(x + i));
    largest = over_block(largest, [](float a, float b) { return fmaxf(a, b); });
    for (int i = threadIdx.x; i < cols; i += 128) sum += row[i] = __expf(row[i] - largest);
    float scale = 1.0f / over_block(sum, [](float a, float b) { return a + b; });
    for (int i = threadIdx.x; i < cols; i += 128) y[i] = row[i] * scale;
}
