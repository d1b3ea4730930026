//| task = "kernels/histogram:global"
//| class = "found by search"
//| does = "what rules made of global atomics: vectors, counts of a block's own, one lane that adds for its like"
//| overrides = { "constants.BLOCK" = 128 }
extern "C" __global__ void histogram_global(const unsigned char* __restrict__ x, int* __restrict__ counts, int n) {
    __shared__ int mine[256];
    for (int b = threadIdx.x; b < 256; b += 128) mine[b] = 0;
    __syncthreads();
    int step = gridDim.x * 128;
    {
        int whole = true ? (n) / 4 * 4 : 0;
        for (int i = 4 * (blockIdx.x * 128 + threadIdx.x); i < whole; i += 4 * (step)) {
            uchar4 v0 = *reinterpret_cast<const uchar4*>(&x[i]);
            atomicAdd(&mine[v0.x], 1);
            {
        auto* place = &mine[v0.y];
        unsigned same = __match_any_sync(__activemask(), reinterpret_cast<unsigned long long>(place));
        if (__ffs(same) - 1 == static_cast<int>(threadIdx.x % 32)) atomicAdd(place, __popc(same));
    }
            atomicAdd(&mine[v0.z], 1);
            atomicAdd(&mine[v0.w], 1);
            
        }
        for (int i = whole + blockIdx.x * 128 + threadIdx.x; i < n; i += step) atomicAdd(&mine[x[i]], 1);
    }
    __syncthreads();
    for (int b = threadIdx.x; b < 256; b += 128) {
        if (mine[b] != 0) atomicAdd(&counts[b], mine[b]);
    }
}
