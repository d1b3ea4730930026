"""The evidence of a run: one SQLite file, an event for each thing that happened."""
