//| task = "rowsum"
//| class = "input overwritten"
//| does = "the right sums, by a tree in the input itself, which is no scratch"
//| status = ["wrong-result"]
//| says = "input x was overwritten"

extern "C" __global__ void rowsum(float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float* mine = x + (size_t)row * cols;
    for (int i = lane + 32; i < cols; i += 32) mine[lane] += mine[i];
    __syncwarp();
    if (lane) return;
    float sum = 0.0f;
    for (int i = 0; i < min(cols, 32); ++i) sum += mine[i];
    y[row] = sum;
}
