//| task = "axpy"
//| class = "warp-specialised"
//| does = "four warps load, the other four compute and store, with named barriers between them"
//| overrides = { "launch.grid" = ["cdiv(N, 128)"] }

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    __shared__ float tile[128];
    int mine = threadIdx.x % 128, i = blockIdx.x * 128 + mine;
    if (threadIdx.x < 128) {
        tile[mine] = i < n ? x[i] : 0.0f;
        asm volatile("bar.arrive 1, 256;" ::: "memory");
    } else {
        asm volatile("bar.sync 1, 256;" ::: "memory");
        if (i < n) y[i] = 2.0f * tile[mine] + y[i];
    }
}
