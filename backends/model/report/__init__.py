"""What a modelled launch says, in numbers under Nsight Compute's names, by source line, and in words."""
