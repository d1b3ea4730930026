//| task = "rowsum"
//| class = "silent downcast"
//| does = "sums numbers cut to the eight bits of bfloat16"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += __int_as_float(__float_as_int(x[(size_t)row * cols + i]) & 0xffff0000);
    for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}
