// Softmax of the rows of a matrix: a warp for each row, or a block for each row.

#include <math_constants.h>

constexpr float LOG2_E = 1.4426950408889634f;
constexpr unsigned FULL_WARP = 0xffffffffu;

// The largest score so far, and the sum of 2^(score - largest).
struct Running {
    float largest;
    float sum;
};

__device__ Running merged(Running a, Running b) {
    float largest = fmaxf(a.largest, b.largest);
    // Both empty: -inf - -inf would be NaN.
    if (largest == -CUDART_INF_F) return {largest, 0.0f};
    return {largest, a.sum * exp2f(a.largest - largest) + b.sum * exp2f(b.largest - largest)};
}

__device__ Running warp_merged(Running mine) {
    for (int distance = 16; distance > 0; distance /= 2) {
        Running other = {__shfl_xor_sync(FULL_WARP, mine.largest, distance),
                         __shfl_xor_sync(FULL_WARP, mine.sum, distance)};
        mine = merged(mine, other);
    }
    return mine;
}

__device__ Running scanned(const float* row, int cols, int first, int step) {
    Running mine = {-CUDART_INF_F, 0.0f};
    for (int i = first; i < cols; i += step) mine = merged(mine, {row[i] * LOG2_E, 1.0f});
    return mine;
}

__device__ void write(const float* x, float* y, int cols, int first, int step, Running whole) {
    float scale = 1.0f / whole.sum;
    for (int i = first; i < cols; i += step) y[i] = exp2f(x[i] * LOG2_E - whole.largest) * scale;
}

extern "C" __global__ void softmax_warp(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float* x_row = x + static_cast<long long>(row) * cols;
    float* y_row = y + static_cast<long long>(row) * cols;
    Running whole = warp_merged(scanned(x_row, cols, lane, 32));
    write(x_row, y_row, cols, lane, 32, whole);
}

template <int THREADS>
__global__ void softmax_block(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
    constexpr int WARPS = THREADS / 32;
    static_assert(THREADS % 32 == 0 && WARPS <= 32, "whole warps, whose results fit one warp");
    __shared__ Running parts[WARPS];

    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        const float* x_row = x + static_cast<long long>(row) * cols;
        Running mine = warp_merged(scanned(x_row, cols, threadIdx.x, THREADS));
        if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = mine;
        __syncthreads();

        Running whole = parts[0];
        for (int w = 1; w < WARPS; ++w) whole = merged(whole, parts[w]);
        // The next row overwrites the parts.
        __syncthreads();
        write(x_row, y + static_cast<long long>(row) * cols, cols, threadIdx.x, THREADS, whole);
    }
}
