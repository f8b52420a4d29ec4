"""What `app.compose` is made of: overrides and experiments read as data, and the tree that chosen options make."""
