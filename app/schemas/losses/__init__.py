"""The loss group: `loss.py` has what all losses share, `joint.py` how several make one; the rest are the options."""
