"""A run for people: the story in words, and one page with the tree, the curve, the diffs and the evidence."""
