//| task = "matmul"
//| class = "dropped edges of the tile"
//| does = "computes whole tiles of 16 alone"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m / 16 * 16 || col >= n / 16 * 16) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + col];
    c[row * n + col] = sum;
}
