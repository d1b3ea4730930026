//| task = "transpose"
//| class = "plain"
//| does = "a thread for each element, writes side by side"
//| overrides = { "launch.grid" = ["cdiv(M, 32)", "N"], "launch.block" = [32] }

extern "C" __global__ void transpose(const float* x, float* y, int m, int n) {
    long long row = (long long)blockIdx.x * 32 + threadIdx.x;
    if (row < m) y[blockIdx.y * (long long)m + row] = __ldg(x + row * n + blockIdx.y);
}
