"""The JSON Schema of experiment files, for editors: one for each task, made from the schemas. Nothing imports torch."""
