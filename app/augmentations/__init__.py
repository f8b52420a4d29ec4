"""Random changes to batches of images: tensor operations with plain arguments, which a notebook can use alone."""
