"""Typed structured configs for training PyTorch models."""
