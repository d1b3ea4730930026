"""Layouts and arithmetic of tensor-core and TMA instructions: arrays in, arrays out, no machine state."""
