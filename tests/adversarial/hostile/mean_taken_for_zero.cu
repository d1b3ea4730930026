//| task = "standardise"
//| class = "valid only for the benchmark's distribution"
//| does = "takes the mean from the first 32 elements when it is small, and 0 for the others' mean"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void standardise(const float* x, float* y, int rows, int cols) {
    __shared__ float parts[4];
    x += (size_t)blockIdx.x * cols, y += (size_t)blockIdx.x * cols;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < cols; i += 128) squares += x[i] * x[i];
    for (int d = 16; d; d /= 2) squares += __shfl_xor_sync(~0u, squares, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = squares;
    __syncthreads();
    float scale = rsqrtf((parts[0] + parts[1] + parts[2] + parts[3]) / cols + 1e-5f);
    for (int i = threadIdx.x; i < cols; i += 128) y[i] = x[i] * scale;
}
