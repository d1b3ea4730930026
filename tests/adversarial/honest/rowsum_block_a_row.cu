//| task = "rowsum"
//| class = "shared memory"
//| does = "a block for each row, warps' sums through shared memory"
//| overrides = { "launch.grid" = ["ROWS"] }

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    __shared__ float parts[4];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) sum += x[(size_t)blockIdx.x * cols + i];
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = parts[0] + parts[1] + parts[2] + parts[3];
}
