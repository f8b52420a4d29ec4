"""The metrics group: `metric.py` has what all metrics share, the rest are the options, by what they measure."""
