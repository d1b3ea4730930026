// Product of a sparse matrix (compressed rows) and a vector: a warp for each row, or a thread for each row.

constexpr unsigned FULL_WARP = 0xffffffffu;

extern "C" __global__ void spmv_warp(const int* __restrict__ offsets, const int* __restrict__ columns,
                                     const float* __restrict__ values, const float* __restrict__ x,
                                     float* __restrict__ y, int rows) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = offsets[row] + lane; i < offsets[row + 1]; i += 32) sum += values[i] * x[columns[i]];
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(FULL_WARP, sum, distance);
    if (lane == 0) y[row] = sum;
}

extern "C" __global__ void spmv_thread(const int* __restrict__ offsets, const int* __restrict__ columns,
                                       const float* __restrict__ values, const float* __restrict__ x,
                                       float* __restrict__ y, int rows) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = offsets[row]; i < offsets[row + 1]; ++i) sum += values[i] * x[columns[i]];
    y[row] = sum;
}
