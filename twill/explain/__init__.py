"""Say in words why a schedule is as it is, why there is none, and why a loop cannot be pipelined."""
