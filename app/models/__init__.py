"""The parts that models are built from: plain `nn.Module`s with plain arguments, which know nothing of configs."""
