//| task = "axpy"
//| class = "a graph that misses the kernel"
//| does = "has a graph do the work after it has ended, so that what is timed is the launch of the graph alone"
//| status = ["compile-error"]
//| says = "cudaGraphExec_t|cudaGetCurrentGraphExec"

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    cudaGraphExec_t graph = cudaGetCurrentGraphExec();
    if (blockIdx.x == 0 && threadIdx.x == 0) cudaGraphLaunch(graph, cudaStreamGraphTailLaunch);
}
