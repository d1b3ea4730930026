//| task = "axpy"
//| class = "asynchronous copies"
//| does = "copies tiles to shared memory asynchronously, and waits for them"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    unsigned at = __cvta_generic_to_shared(&tile[threadIdx.x]);
    if (i < n) asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(x + i) : "memory");
    asm volatile("cp.async.commit_group;\n cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    if (i < n) y[i] = 2.0f * tile[threadIdx.x] + y[i];
}
