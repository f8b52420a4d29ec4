"""The shape check: a module takes its steps on tensors without values, so that nothing but time for a glance is needed.

`report` is what it finds, free of torch; `python -m app.shapes` is the process that finds it.
"""
