//| task = "axpy"
//| class = "inline PTX"
//| does = "loads and stores marked as used once"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) __stcs(y + i, 2.0f * __ldcs(x + i) + __ldcs(y + i));
}
