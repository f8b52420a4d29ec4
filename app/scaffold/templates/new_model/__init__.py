"""What `app new module` adds to the files of a task, one of these files to each."""
