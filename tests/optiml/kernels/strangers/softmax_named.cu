// Softmax, a thread for each row, with names for all that is computed.

__global__ void softmax_named(const float* x, float* y, int rows, int cols) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < rows) {
        float m = -1e30f;
        for (int i = 0; i < cols; i++) {
            int idx = row * cols + i;
            float v = x[idx];
            if (v > m) m = v;
        }
        float s = 0;
        for (int i = 0; i < cols; i++) {
            int idx = row * cols + i;
            float v = expf(x[idx] - m);
            s = s + v;
        }
        for (int i = 0; i < cols; i++) {
            int idx = row * cols + i;
            y[idx] = expf(x[idx] - m) / s;
        }
    }
}
