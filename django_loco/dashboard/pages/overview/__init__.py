"""The state of all jobs on one screen."""
