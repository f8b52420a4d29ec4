"""The augmentation group: `augmentation.py` has what all of them share, the rest are the options."""
