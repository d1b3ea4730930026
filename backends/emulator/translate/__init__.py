"""PTX to Python: each basic block becomes one function of NumPy calls."""
