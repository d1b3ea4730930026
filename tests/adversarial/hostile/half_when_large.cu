//| task = "rowsum"
//| class = "a slice at the sizes that are timed alone"
//| does = "reads half of each row where rows are long"
//| status = ["cheating", "impossible-time"]
//| says = "touches|no kernel can need less"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    int end = cols < 4096 ? cols : cols / 2;
    float sum = 0.0f;
    for (int i = lane; i < end; i += 32) sum += x[(size_t)row * cols + i];
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}
