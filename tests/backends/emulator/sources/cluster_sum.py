"""CUDA C++: the sum over a cluster, each CTA reading the partial sums of the others from their shared memory."""

SOURCE = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;

extern "C" __global__ void cluster_sum(const float *values, float *sums) {
    __shared__ float partial;
    cg::cluster_group cluster = cg::this_cluster();
    if (threadIdx.x == 0) partial = 0;
    __syncthreads();
    atomicAdd(&partial, values[blockIdx.x * blockDim.x + threadIdx.x]);
    cluster.sync();
    if (threadIdx.x == 0) {
        float sum = 0;
        for (unsigned rank = 0; rank < cluster.num_blocks(); ++rank) sum += *cluster.map_shared_rank(&partial, rank);
        sums[blockIdx.x] = sum;
    }
    cluster.sync();
}
"""
