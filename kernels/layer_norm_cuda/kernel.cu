// Layer norm of the rows of a matrix, one block for each row, and the rows' mean and reciprocal deviation.

#include <cuda_fp16.h>

constexpr unsigned FULL_WARP = 0xffffffffu;

// Count, mean, and sum of squared distances from it.
struct Moments {
    float count;
    float mean;
    float squares;
};

// Chan, Golub and LeVeque's rule for the moments of two parts together.
__device__ Moments merged(Moments a, Moments b) {
    float count = a.count + b.count;
    if (count == 0.0f) return a;
    float distance = b.mean - a.mean;
    float share = b.count / count;
    return {count, a.mean + distance * share, a.squares + b.squares + distance * distance * a.count * share};
}

__device__ Moments warp_merged(Moments mine) {
    for (int distance = 16; distance > 0; distance /= 2) {
        Moments other = {__shfl_xor_sync(FULL_WARP, mine.count, distance),
                         __shfl_xor_sync(FULL_WARP, mine.mean, distance),
                         __shfl_xor_sync(FULL_WARP, mine.squares, distance)};
        mine = merged(mine, other);
    }
    return mine;
}

template <class T, int THREADS>
__global__ void layer_norm(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
                           T* __restrict__ y, float* __restrict__ mean, float* __restrict__ rstd, int cols, float eps) {
    constexpr int WARPS = THREADS / 32;
    __shared__ Moments parts[WARPS];
    const T* x_row = x + static_cast<long long>(blockIdx.x) * cols;
    T* y_row = y + static_cast<long long>(blockIdx.x) * cols;

    Moments mine = {0.0f, 0.0f, 0.0f};
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        float distance = static_cast<float>(x_row[i]) - mine.mean;
        mine.count += 1.0f;
        mine.mean += distance / mine.count;
        mine.squares += distance * (static_cast<float>(x_row[i]) - mine.mean);
    }
    mine = warp_merged(mine);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = mine;
    __syncthreads();

    Moments whole = parts[0];
    for (int w = 1; w < WARPS; ++w) whole = merged(whole, parts[w]);
    float scale = rsqrtf(whole.squares / cols + eps);
    for (int i = threadIdx.x; i < cols; i += THREADS) {
        float normal = (static_cast<float>(x_row[i]) - whole.mean) * scale;
        y_row[i] = static_cast<T>(normal * static_cast<float>(weight[i]) + static_cast<float>(bias[i]));
    }
    if (threadIdx.x != 0) return;
    mean[blockIdx.x] = whole.mean;
    rstd[blockIdx.x] = scale;
}
