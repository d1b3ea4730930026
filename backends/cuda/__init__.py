"""A real GPU through the CUDA driver: the device protocol, and times by the GPU's own events."""
