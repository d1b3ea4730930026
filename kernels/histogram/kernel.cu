// Histogram of bytes, added to counts that are already there.

// Each block counts in shared memory, and adds its counts to the others' at the end. Each of COPIES groups of warps
// has counts of its own, so that fewer threads meet at one of them.
template <int COPIES>
__global__ void histogram_shared(const unsigned char* __restrict__ x, int* __restrict__ counts, int n) {
    constexpr int BINS = 256;
    __shared__ int mine[COPIES][BINS];
    for (int i = threadIdx.x; i < COPIES * BINS; i += blockDim.x) mine[i / BINS][i % BINS] = 0;
    __syncthreads();

    int copy = threadIdx.x / 32 % COPIES;
    int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) atomicAdd(&mine[copy][x[i]], 1);
    __syncthreads();

    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) {
        int sum = 0;
        for (int c = 0; c < COPIES; ++c) sum += mine[c][bin];
        if (sum != 0) atomicAdd(&counts[bin], sum);
    }
}

// Every thread adds to the counts in global memory.
extern "C" __global__ void histogram_global(const unsigned char* __restrict__ x, int* __restrict__ counts, int n) {
    int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) atomicAdd(&counts[x[i]], 1);
}

// As histogram_global, but the lanes of a warp that have the same byte send one of them with their number.
extern "C" __global__ void histogram_match(const unsigned char* __restrict__ x, int* __restrict__ counts, int n) {
    int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        unsigned same = __match_any_sync(__activemask(), x[i]);
        bool first = (same & ((1u << threadIdx.x % 32) - 1)) == 0;
        if (first) atomicAdd(&counts[x[i]], __popc(same));
    }
}
