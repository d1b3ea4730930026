"""What every part talks about: types, loops, dependence graphs, machines, schedules, diagnostics."""
