//| task = "rowsum"
//| class = "atomics"
//| does = "each block zeroes its row's sum and adds warps' sums to it in any order"
//| overrides = { "launch.grid" = ["ROWS"] }

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    if (threadIdx.x == 0) y[blockIdx.x] = 0.0f;
    __syncthreads();
    float sum = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) sum += x[(size_t)blockIdx.x * cols + i];
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (threadIdx.x % 32 == 0) atomicAdd(&y[blockIdx.x], sum);
}
