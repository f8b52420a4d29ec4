"""What `app new` starts from: Python that is checked like all other, with names that are replaced when it is copied.

`new_task` and `new_model` stand for the names, `NewTask` and `NewModel` for the same in class names, and this package
for `app.tasks`. Nothing here is imported by a run.
"""
