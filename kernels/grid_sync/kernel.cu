// Division of a vector by its length, in one launch: the whole grid synchronises between the steps.

#include <cooperative_groups.h>

namespace groups = cooperative_groups;

template <int THREADS>
__device__ float block_sum(float value) {
    constexpr int WARPS = THREADS / 32;
    __shared__ float parts[WARPS];
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    // A former call's parts may still be read.
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0.0f;
    for (int w = 0; w < WARPS; ++w) sum += parts[w];
    return sum;
}

// `sums` has a place for each block. All blocks are resident: the launch is cooperative.
template <int THREADS>
__global__ void normalize(const float* __restrict__ x, float* __restrict__ y, float* sums, int n) {
    int first = blockIdx.x * THREADS + threadIdx.x;
    int step = gridDim.x * THREADS;
    float squares = 0.0f;
    for (int i = first; i < n; i += step) squares += x[i] * x[i];
    squares = block_sum<THREADS>(squares);
    if (threadIdx.x == 0) sums[blockIdx.x] = squares;

    groups::this_grid().sync();

    float total = 0.0f;
    for (int i = threadIdx.x; i < gridDim.x; i += THREADS) total += sums[i];
    float scale = rsqrtf(block_sum<THREADS>(total));
    for (int i = first; i < n; i += step) y[i] = x[i] * scale;
}

// A vector is replaced `rounds` times by the mean of each element and its two neighbours, in a ring; after each round
// the grid synchronises. The result of an even number of rounds is in `x`, of an odd one in `y`.
template <int THREADS>
__global__ void smooth(float* x, float* y, int n, int rounds) {
    groups::grid_group grid = groups::this_grid();
    float* from = x;
    float* to = y;
    for (int round = 0; round < rounds; ++round) {
        for (int i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS) {
            float left = from[i == 0 ? n - 1 : i - 1];
            float right = from[i == n - 1 ? 0 : i + 1];
            to[i] = (left + from[i] + right) * (1.0f / 3.0f);
        }
        grid.sync();
        float* other = from;
        from = to;
        to = other;
    }
}
