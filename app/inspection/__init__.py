"""What a config is, where it comes from and how two of them differ, for a person to read."""
