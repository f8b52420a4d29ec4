"""Handwritten digits, 8 by 8 pixels, ten classes: the default task, its data carried by scikit-learn."""
