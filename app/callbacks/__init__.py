"""Callbacks of our own: plain arguments, no configs."""
