"""A model in parts: backbone, neck, pooling and head, each chosen from a group of its own."""
