"""The workers, with their jobs and buttons to quiet and stop them, and the schedulers."""
