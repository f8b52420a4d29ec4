"""How a checked config becomes live objects."""
