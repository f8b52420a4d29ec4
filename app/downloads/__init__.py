"""Getting a task's files from the web into a folder, whole and as they were published, or not at all."""
