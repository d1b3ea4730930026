//| task = "total"
//| class = "headers of CUDA"
//| does = "cooperative groups: tiles of a warp, their reductions, and whoever of a block is elected"
//| overrides = { "launch.grid" = ["min(cdiv(N, 1024), 432)"] }
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

namespace cg = cooperative_groups;

__device__ float block_sum(const cg::thread_block& block, float mine) {
    __shared__ float warps[8];
    auto warp = cg::tiled_partition<32>(block);
    mine = cg::reduce(warp, mine, cg::plus<float>());
    if (warp.thread_rank() == 0) warps[warp.meta_group_rank()] = mine;
    block.sync();
    auto eight = cg::tiled_partition<8>(block);
    return cg::reduce(eight, warps[eight.thread_rank()], cg::plus<float>());
}

extern "C" __global__ void total(const float* x, float* y, float* parts, int* done, int n) {
    __shared__ bool is_last;
    auto block = cg::this_thread_block();
    float sum = 0.0f;
    for (int i = cg::this_grid().thread_rank(); i < n; i += cg::this_grid().size()) sum += x[i];
    sum = block_sum(block, sum);
    if (block.thread_rank() == 0) {
        parts[blockIdx.x] = sum;
        __threadfence();
        is_last = atomicAdd(done, 1) == gridDim.x - 1;
        __threadfence();
    }
    block.sync();
    if (!is_last) return;
    sum = 0.0f;
    for (int i = block.thread_rank(); i < gridDim.x; i += block.size()) sum += parts[i];
    sum = block_sum(block, sum);
    if (block.thread_rank() == 0) *y = sum;
}
