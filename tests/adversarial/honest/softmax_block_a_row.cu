//| task = "softmax"
//| class = "shared memory"
//| does = "a block for each row, reductions through shared memory, as a template"
//| overrides = { "entry" = "softmax<128>", "launch.grid" = ["ROWS"] }
#include <math_constants.h>

template <int THREADS>
__device__ float reduced(float mine, bool sums) {
    __shared__ float parts[THREADS];
    parts[threadIdx.x] = mine;
    for (int half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            float other = parts[threadIdx.x + half];
            parts[threadIdx.x] = sums ? parts[threadIdx.x] + other : fmaxf(parts[threadIdx.x], other);
        }
    }
    __syncthreads();
    float all = parts[0];
    __syncthreads();
    return all;
}

template <int THREADS>
__global__ void softmax(const float* x, float* y, int, int cols) {
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    float largest = -CUDART_INF_F, sum = 0.0f;
    for (int i = threadIdx.x; i < cols; i += THREADS) largest = fmaxf(largest, x[i]);
    largest = reduced<THREADS>(largest, false);
    for (int i = threadIdx.x; i < cols; i += THREADS) sum += expf(x[i] - largest);
    sum = reduced<THREADS>(sum, true);
    for (int i = threadIdx.x; i < cols; i += THREADS) y[i] = expf(x[i] - largest) / sum;
}
