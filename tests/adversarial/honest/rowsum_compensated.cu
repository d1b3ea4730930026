//| task = "rowsum"
//| class = "more accurate than asked"
//| does = "Kahan's sum, in volatile form so that no compiler simplifies it"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f, lost = 0.0f;
    for (int i = lane; i < cols; i += 32) {
        float term = __fsub_rn(x[(size_t)row * cols + i], lost);
        float next = __fadd_rn(sum, term);
        lost = __fsub_rn(__fsub_rn(next, sum), term);
        sum = next;
    }
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}
