//| task = "axpy"
//| class = "an output flood"
//| does = "prints without end"
//| status = ["timeout", "crash"]
//| slow = true
//| says = "took too long|memory"
//| launch_s = 2.0
//| wall_s = 15.0

extern "C" __global__ void axpy(const float* x, float* y, int n) {
    for (long long i = 0;; ++i) printf("%lld all work and no play makes a dull kernel\n", i);
}
