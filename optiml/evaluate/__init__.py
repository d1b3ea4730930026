"""Evaluation of candidates: the cascade from parsing to profiling, guardrails, reward, and the pool of workers."""
