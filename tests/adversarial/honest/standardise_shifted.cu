//| task = "standardise"
//| class = "one pass less"
//| does = "sums of differences to the row's first element, which keeps all digits in one pass"

extern "C" __global__ void standardise(const float* x, float* y, int rows, int cols) {
    __shared__ float sums[4], squares[4];
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    float sum = 0.0f, square = 0.0f, shift = x[0];
    for (int i = threadIdx.x; i < cols; i += 128) {
        float d = x[i] - shift;
        sum += d, square += d * d;
    }
    for (int d = 16; d; d /= 2) {
        sum += __shfl_xor_sync(~0u, sum, d);
        square += __shfl_xor_sync(~0u, square, d);
    }
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum, squares[threadIdx.x / 32] = square;
    __syncthreads();
    float mean = (sums[0] + sums[1] + sums[2] + sums[3]) / cols;
    float scale = rsqrtf((squares[0] + squares[1] + squares[2] + squares[3]) / cols - mean * mean + 1e-5f);
    for (int i = threadIdx.x; i < cols; i += 128) y[i] = (x[i] - shift - mean) * scale;
}
