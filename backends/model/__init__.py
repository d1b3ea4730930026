"""The performance model: how long a compiled kernel would take on a GPU that is not here."""
