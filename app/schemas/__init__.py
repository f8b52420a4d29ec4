"""What can be configured: one typed dataclass for each option. Nothing here imports torch."""
