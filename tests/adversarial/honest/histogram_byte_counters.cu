//| task = "histogram"
//| class = "packed counters"
//| does = "counts in bytes, for each thread its own, and adds them up, four at once, before any can overflow"
//| overrides = { "launch.grid" = ["cdiv(N, 32640)"], "launch.block" = [128] }

// 255 elements a thread: as many as a byte can count.
constexpr int THREADS = 128, EACH = 255;

extern "C" __global__ void histogram(const int* __restrict__ x, int* counts, int n) {
    __shared__ __align__(16) unsigned char mine[64][THREADS];
    unsigned* words = reinterpret_cast<unsigned*>(mine);
    for (int i = threadIdx.x; i < 64 * THREADS / 4; i += THREADS) words[i] = 0;
    __syncthreads();
    int first = blockIdx.x * THREADS * EACH, end = min(first + THREADS * EACH, n);
    for (int i = first + threadIdx.x; i < end; i += THREADS) ++mine[x[i]][threadIdx.x];
    __syncthreads();
    // Two threads for each value; they begin at different words so that they meet different banks.
    int value = threadIdx.x / 2;
    unsigned sum = 0;
    for (int i = 0; i < THREADS / 8; ++i) {
        int word = threadIdx.x % 2 * (THREADS / 8) + (i + value) % (THREADS / 8);
        sum = __dp4a(words[value * (THREADS / 4) + word], 0x01010101u, sum);
    }
    sum += __shfl_xor_sync(~0u, sum, 1);
    if (threadIdx.x % 2 == 0 && sum) atomicAdd(&counts[value], (int)sum);
}
