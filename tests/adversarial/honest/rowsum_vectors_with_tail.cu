//| task = "rowsum"
//| class = "vectors with a scalar tail"
//| does = "peels to a boundary of 16 bytes, reads vectors of four, and ends with single elements"

extern "C" __global__ void rowsum(const float* x, float* y, int rows, int cols) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const float* mine = x + (size_t)row * cols;
    int head = min(cols, (int)((16 - (size_t)mine % 16) % 16 / 4)), vectors = (cols - head) / 4;
    float sum = lane < head ? mine[lane] : 0.0f;
    const float4* v = reinterpret_cast<const float4*>(mine + head);
    for (int i = lane; i < vectors; i += 32) {
        float4 a = v[i];
        sum += (a.x + a.y) + (a.z + a.w);
    }
    for (int i = head + 4 * vectors + lane; i < cols; i += 32) sum += mine[i];
    for (int d = 16; d; d /= 2) sum += __shfl_down_sync(~0u, sum, d);
    if (lane == 0) y[row] = sum;
}
