//| task = "standardise"
//| class = "nondeterminism"
//| does = "reads the other warps' sums without waiting for them"
//| status = ["findings", "wrong-result"]
//| says = "no barrier|no __syncwarp|elements wrong"

extern "C" __global__ void standardise(const float* x, float* y, int rows, int cols) {
    __shared__ float sums[4], squares[4];
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    float sum = 0.0f, square = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) sum += x[i], square += x[i] * x[i];
    for (int d = 16; d; d /= 2) {
        sum += __shfl_xor_sync(~0u, sum, d);
        square += __shfl_xor_sync(~0u, square, d);
    }
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum, squares[threadIdx.x / 32] = square;
    float mean = (sums[0] + sums[1] + sums[2] + sums[3]) / cols;
    float scale = rsqrtf((squares[0] + squares[1] + squares[2] + squares[3]) / cols - mean * mean + 1e-5f);
    for (int i = threadIdx.x; i < cols; i += 128) y[i] = (x[i] - mean) * scale;
}
