"""A schedule for people and tools: table, Gantt, listing, DOT, trace, HTML."""
