//| task = "rowsum"
//| class = "inline PTX"
//| does = "loads through the read-only path that do not stay in the L1"

__device__ float load(const float* at) {
    float x;
    asm("ld.global.nc.L1::no_allocate.f32 %0, [%1];" : "=f"(x) : "l"(at));
    return x;
}

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += load(x + (size_t)row * cols + i);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}
