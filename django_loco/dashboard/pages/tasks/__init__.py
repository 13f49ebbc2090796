"""The tasks: how often each runs and fails, and how long its jobs wait and run."""
