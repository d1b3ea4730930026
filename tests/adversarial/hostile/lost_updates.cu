//| task = "histogram"
//| class = "nondeterminism"
//| does = "adds without atomics, so that some additions are lost"
//| status = ["findings", "wrong-result"]
//| says = "no barrier|no __syncwarp|elements wrong"

extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    for (int i = blockIdx.x * 1024 + threadIdx.x; i < n && i < (blockIdx.x + 1) * 1024; i += 256) counts[x[i]] += 1;
}
