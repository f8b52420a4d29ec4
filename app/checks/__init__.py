"""What can be known of experiments before a run: the linter behind `app check`."""
