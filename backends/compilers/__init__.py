"""Source to artifact: Triton, Gluon and CUDA C++ to PTX and machine code; nothing here needs a GPU or a driver."""
