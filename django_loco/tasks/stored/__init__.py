"""Tasks and options of jobs as they are stored."""
