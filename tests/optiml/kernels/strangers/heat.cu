// A step of the heat equation in three dimensions.

__global__ void heat3d(float* T_new, const float* T, int nx, int ny, int nz, float c) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int j = blockIdx.y * blockDim.y + threadIdx.y;
    int k = blockIdx.z * blockDim.z + threadIdx.z;
    if (i >= nx || j >= ny || k >= nz) return;
    int idx = i + nx * (j + ny * k);
    if (i == 0 || j == 0 || k == 0 || i == nx - 1 || j == ny - 1 || k == nz - 1) {
        T_new[idx] = T[idx];
        return;
    }
    T_new[idx] = T[idx] + c * (T[idx - 1] + T[idx + 1] + T[idx - nx] + T[idx + nx] + T[idx - nx * ny] +
                               T[idx + nx * ny] - 6.0f * T[idx]);
}
