"""The parts that models are built from, and how their parameters are named: plain arguments, nothing of configs."""
