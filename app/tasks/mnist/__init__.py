"""MNIST, handwritten digits of 28 by 28 pixels: the dataset that every tutorial begins with, downloaded."""
