//| task = "matmul"
//| class = "silent downcast"
//| does = "rounds to TF32, whose mantissa has ten bits"
//| status = ["wrong-result"]
//| says = "elements wrong"

__device__ float rounded(float x) { return __int_as_float((__float_as_int(x) + 0x1000) & 0xffffe000); }

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
    if (row >= m || col >= n) return;
    float sum = 0.0f;
    for (int i = 0; i < k; ++i) sum += rounded(a[row * k + i]) * rounded(b[i * n + col]);
    c[row * n + col] = sum;
}
