//| task = "rowmax"
//| class = "unusual mathematics"
//| does = "compares floats as integers whose order is the same, by the warp's own reduction of integers"

__device__ int ordered(float x) {
    int bits = __float_as_int(x);
    return bits >= 0 ? bits : bits ^ 0x7fffffff;
}

extern "C" __global__ void rowmax(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    int largest = 0x80000000;
    for (int i = lane; i < cols; i += 32) largest = max(largest, ordered(x[(size_t)row * cols + i]));
    for (int d = 16; d; d /= 2) largest = max(largest, __shfl_xor_sync(~0u, largest, d));
    if (lane == 0) y[row] = __int_as_float(largest >= 0 ? largest : largest ^ 0x7fffffff);
}
