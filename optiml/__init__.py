"""Search over kernel candidates: propose, compile, verify, profile, score, report."""
