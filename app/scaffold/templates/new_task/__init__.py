"""What the task `new_task` is about: say it here in a sentence."""
