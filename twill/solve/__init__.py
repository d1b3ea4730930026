"""Solvers behind one protocol: cpsat (exact, default), smt (exact, cross-check), ims (heuristic), brute (tests)."""
