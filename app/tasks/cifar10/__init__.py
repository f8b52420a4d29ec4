"""CIFAR-10, small colour photos of ten kinds of animals and vehicles, in the binary version."""
