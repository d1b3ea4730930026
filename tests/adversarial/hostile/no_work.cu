//| task = "softmax"
//| class = "no work"
//| does = "nothing: whatever the memory held before is taken for the result"
//| status = ["wrong-result"]
//| says = "elements wrong"

extern "C" __global__ void softmax(const float* x, float* y, int rows, int cols) {}
