"""Checkpoints: how they are written, and what can be made of them."""
