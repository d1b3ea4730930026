//| task = "rowsum"
//| class = "nondeterminism"
//| does = "exchanges through shared memory within a warp as if its threads never parted"
//| status = ["findings", "wrong-result"]
//| says = "no barrier|no __syncwarp|elements wrong"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    __shared__ float parts[128];
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32, first = threadIdx.x - lane;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = lane; i < cols; i += 32) sum += x[(size_t)row * cols + i];
    parts[threadIdx.x] = sum;
    for (int d = 16; d; d /= 2)
        if (lane < d) parts[threadIdx.x] += parts[threadIdx.x + d];
    if (lane == 0) y[row] = parts[first];
}
