//| task = "axpy"
//| class = "unusual order"
//| does = "goes from the end to the beginning, eight elements a thread"
//| overrides = { "launch.grid" = ["cdiv(N, 2048)"] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int first = blockIdx.x * 2048 + threadIdx.x;
#pragma unroll
    for (int k = 7; k >= 0; --k) {
        int i = n - 1 - (first + 256 * k);
        if (i >= 0) y[i] = 2.0f * x[i] + y[i];
    }
}
