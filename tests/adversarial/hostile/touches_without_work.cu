//| task = "matmul"
//| class = "a slice at the sizes that are timed alone"
//| does = "reads and writes each element once where matrices are large, so that all bytes are touched, and multiplies nothing"
//| status = ["impossible-time"]
//| says = "no kernel can need less"

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || col >= n) return;
    if (k >= 1024) {
        c[row * n + col] = a[row * n + col] + b[row * n + col];
        return;
    }
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + col];
    c[row * n + col] = sum;
}
