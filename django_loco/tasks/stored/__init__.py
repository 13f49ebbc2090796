"""Tasks and options of jobs as they are stored, and how the jobs of ticks are stored."""
