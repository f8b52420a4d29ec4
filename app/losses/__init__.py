"""Losses that torch has not, and the joint loss. They take plain arguments, so a notebook can use them alone."""
