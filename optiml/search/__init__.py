"""Search strategies over candidates, behind one protocol and one budget."""
