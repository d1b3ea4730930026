"""What each lane-wise PTX instruction computes: pure functions of NumPy arrays, with no machine state."""
