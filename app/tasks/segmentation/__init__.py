"""Segmentation: the class of each pixel, of generated shapes by default, or of a folder of images and masks."""
