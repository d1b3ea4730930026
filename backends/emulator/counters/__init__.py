"""Counters of the emulated device, under the names that Nsight Compute gives them."""
