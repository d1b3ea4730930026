template <typename T, int BX, int BY>
__global__ void jacobi2d(const T* __restrict__ u, T* __restrict__ v, int height, int width, T w) {
    int x = blockIdx.x * BX + threadIdx.x;
    int y = blockIdx.y * BY + threadIdx.y;
    if (x >= width || y >= height) return;
    if (x == 0 || y == 0 || x == width - 1 || y == height - 1) { v[y * width + x] = u[y * width + x]; return; }
    T sum = u[y * width + x - 1] + u[y * width + x + 1] + u[(y - 1) * width + x] + u[(y + 1) * width + x];
    v[y * width + x] = (T(1) - w) * u[y * width + x] + w * T(0.25) * sum;
}
