"""Who is trained on what: one folder for each task."""
