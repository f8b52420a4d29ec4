"""Metrics at work: gathered over the epochs of a split, and what becomes of values that are no number."""
