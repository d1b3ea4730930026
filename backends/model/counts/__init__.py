"""How often each warp executes what, and what its accesses cost in memory, from a sample of a launch's CTAs."""
