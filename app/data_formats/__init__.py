"""Readers of data files: each takes a path, and gives tensors or refuses the file with the place that is wrong."""
