//| task = "axpy"
//| class = "early exit"
//| does = "threads leave before a barrier that is then for the others alone, after a vote"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (!__any_sync(~0u, i < n)) return;
    unsigned active = __ballot_sync(~0u, i < n);
    if (i >= n) return;
    float value = 2.0f * x[i] + y[i];
    __syncwarp(active);
    y[i] = value;
}
