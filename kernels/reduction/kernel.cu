// Sums of the chunks of a vector, one block for each chunk, in eight steps: each removes what held the last one back.
// A chunk has `chunk` elements; what lies beyond the vector counts as 0. Blocks are powers of two from 64 threads on.

constexpr unsigned FULL_WARP = 0xffffffffu;

extern __shared__ float shared[];

__device__ float element(const float* x, int i, int n) {
    return i < n ? x[i] : 0.0f;
}

// 1: neighbours first; threads that still work are ever farther apart, so that every warp diverges.
extern "C" __global__ void reduce_interleaved(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    shared[t] = element(x, blockIdx.x * blockDim.x + t, n);
    __syncthreads();
    for (int distance = 1; distance < blockDim.x; distance *= 2) {
        if (t % (2 * distance) == 0) shared[t] += shared[t + distance];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = shared[0];
}

// 2: the first threads work, on elements that are ever farther apart: no divergence, but bank conflicts.
extern "C" __global__ void reduce_bank_conflicts(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    shared[t] = element(x, blockIdx.x * blockDim.x + t, n);
    __syncthreads();
    for (int distance = 1; distance < blockDim.x; distance *= 2) {
        int i = 2 * distance * t;
        if (i < blockDim.x) shared[i] += shared[i + distance];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = shared[0];
}

// 3: the upper half is added to the lower half: consecutive threads, consecutive banks.
extern "C" __global__ void reduce_sequential(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    shared[t] = element(x, blockIdx.x * blockDim.x + t, n);
    __syncthreads();
    for (int distance = blockDim.x / 2; distance > 0; distance /= 2) {
        if (t < distance) shared[t] += shared[t + distance];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = shared[0];
}

// 4: the first addition is made while loading, so that no thread idles from the start; chunks are twice the block.
extern "C" __global__ void reduce_add_on_load(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    int i = 2 * blockIdx.x * blockDim.x + t;
    shared[t] = element(x, i, n) + element(x, i + blockDim.x, n);
    __syncthreads();
    for (int distance = blockDim.x / 2; distance > 0; distance /= 2) {
        if (t < distance) shared[t] += shared[t + distance];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = shared[0];
}

// The first warp adds up 64 elements of shared memory. Each lane keeps its sum in a register; the two __syncwarp
// keep a lane from overwriting what a slower one has yet to read.
__device__ float last_warp(float* values, int t) {
    float sum = values[t];
    for (int distance = 32; distance > 0; distance /= 2) {
        sum += values[t + distance];
        __syncwarp();
        values[t] = sum;
        __syncwarp();
    }
    return sum;
}

// 5: the last six steps concern one warp alone and need no barrier of the block.
extern "C" __global__ void reduce_last_warp(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    int i = 2 * blockIdx.x * blockDim.x + t;
    shared[t] = element(x, i, n) + element(x, i + blockDim.x, n);
    __syncthreads();
    for (int distance = blockDim.x / 2; distance > 32; distance /= 2) {
        if (t < distance) shared[t] += shared[t + distance];
        __syncthreads();
    }
    if (t >= 32) return;
    float sum = last_warp(shared, t);
    if (t == 0) sums[blockIdx.x] = sum;
}

// Adds up a block's values; the block size is known, so that no loop is left.
template <int BLOCK>
__device__ float block_sum(float* values, int t) {
#pragma unroll
    for (int distance = BLOCK / 2; distance > 32; distance /= 2) {
        if (t < distance) values[t] += values[t + distance];
        __syncthreads();
    }
    return t < 32 ? last_warp(values, t) : 0.0f;
}

// 6: completely unrolled.
template <int BLOCK>
__global__ void reduce_unrolled(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    int i = 2 * blockIdx.x * BLOCK + t;
    shared[t] = element(x, i, n) + element(x, i + BLOCK, n);
    __syncthreads();
    float sum = block_sum<BLOCK>(shared, t);
    if (t == 0) sums[blockIdx.x] = sum;
}

// A thread's share of a chunk: every BLOCK-th element.
template <int BLOCK, int CHUNK>
__device__ float strided_sum(const float* x, int n) {
    int first = blockIdx.x * CHUNK;
    int end = min(first + CHUNK, n);
    float sum = 0.0f;
    for (int i = first + threadIdx.x; i < end; i += BLOCK) sum += x[i];
    return sum;
}

// 7: several elements for each thread: the tree is paid for once in many additions.
template <int BLOCK, int CHUNK>
__global__ void reduce_many(const float* __restrict__ x, float* __restrict__ sums, int n) {
    int t = threadIdx.x;
    shared[t] = strided_sum<BLOCK, CHUNK>(x, n);
    __syncthreads();
    float sum = block_sum<BLOCK>(shared, t);
    if (t == 0) sums[blockIdx.x] = sum;
}

__device__ float warp_sum(float sum) {
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(FULL_WARP, sum, distance);
    return sum;
}

// 8: warps add up in registers; shared memory carries one value for each warp.
template <int BLOCK, int CHUNK>
__global__ void reduce_shuffle(const float* __restrict__ x, float* __restrict__ sums, int n) {
    constexpr int WARPS = BLOCK / 32;
    __shared__ float parts[WARPS];
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;

    float sum = warp_sum(strided_sum<BLOCK, CHUNK>(x, n));
    if (lane == 0) parts[warp] = sum;
    __syncthreads();
    if (warp != 0) return;
    sum = warp_sum(lane < WARPS ? parts[lane] : 0.0f);
    if (lane == 0) sums[blockIdx.x] = sum;
}
