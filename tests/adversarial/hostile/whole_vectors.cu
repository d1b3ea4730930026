//| task = "axpy"
//| class = "dropped edges of the tile"
//| does = "leaves out what does not fill a vector of four"
//| status = ["wrong-result"]
//| says = "elements wrong"
//| overrides = { "launch.grid" = ["cdiv(N, 1024)"] }

extern "C" __global__ void axpy(const float4* x, float4* y, int n) {
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= n / 4) return;
    float4 a = x[i], b = y[i];
    y[i] = {2 * a.x + b.x, 2 * a.y + b.y, 2 * a.z + b.z, 2 * a.w + b.w};
}
