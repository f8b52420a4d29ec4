"""Models in files that run without this project: written, compared with torch, and run again."""
