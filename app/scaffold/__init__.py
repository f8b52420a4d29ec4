"""What `app new` writes: a task, a module, an experiment, a schema to start from."""
