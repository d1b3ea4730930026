//| task = "axpy"
//| class = "lazy results"
//| does = "uses an asynchronous copy without waiting for it"
//| status = ["findings", "wrong-result", "fault"]
//| says = "async|wait|elements wrong"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= n) return;
    unsigned at = __cvta_generic_to_shared(&tile[threadIdx.x]);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(x + i));
    asm volatile("cp.async.commit_group;");
    y[i] = 2.0f * tile[threadIdx.x] + y[i];
}
