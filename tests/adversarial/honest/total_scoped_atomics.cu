//| task = "total"
//| class = "headers of CUDA"
//| does = "CUB's reduction of a block, and a counter of libcu++ that releases and acquires in place of fences"
//| overrides = { "launch.grid" = ["min(cdiv(N, 1024), 432)"] }
#include <cub/block/block_reduce.cuh>
#include <cuda/atomic>

extern "C" __global__ void total(const float* x, float* y, float* parts, int* done, int n) {
    using Reduce = cub::BlockReduce<float, 256>;
    __shared__ typename Reduce::TempStorage storage;
    __shared__ bool is_last;
    float sum = 0.0f;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) sum += x[i];
    sum = Reduce(storage).Sum(sum);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = sum;
        cuda::atomic_ref<int, cuda::thread_scope_device> counter(*done);
        is_last = counter.fetch_add(1, cuda::memory_order_acq_rel) == gridDim.x - 1;
    }
    __syncthreads();
    if (!is_last) return;
    sum = 0.0f;
    for (int i = threadIdx.x; i < gridDim.x; i += 256) sum += parts[i];
    sum = Reduce(storage).Sum(sum);
    if (threadIdx.x == 0) *y = sum;
}
