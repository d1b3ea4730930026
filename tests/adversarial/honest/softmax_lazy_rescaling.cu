//| task = "softmax"
//| class = "one pass less"
//| does = "corrects the running sum only when the maximum has grown by a factor of 2^8, so that powers exceed 1"
#include <math_constants.h>

constexpr float LOG2_E = 1.4426950408889634f, SLACK = 8.0f;

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += (size_t)row * cols, y += (size_t)row * cols;
    // The sum of 2^(score - base), where base is no more than SLACK below the largest score.
    float base = -CUDART_INF_F, sum = 0.0f;
    for (int i = lane; i < cols; i += 32) {
        float over = fmaf(x[i], LOG2_E, -base);
        if (over > SLACK) {
            float grown = x[i] * LOG2_E;
            sum *= exp2f(base - grown);
            base = grown;
            over = fmaf(x[i], LOG2_E, -base);
        }
        sum += exp2f(over);
    }
    float shared = base;
    for (int d = 16; d; d /= 2) shared = fmaxf(shared, __shfl_xor_sync(~0u, shared, d));
    sum *= exp2f(base - shared);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    float scale = __frcp_rn(sum);
    for (int i = lane; i < cols; i += 32) y[i] = exp2f(fmaf(x[i], LOG2_E, -shared)) * scale;
}
