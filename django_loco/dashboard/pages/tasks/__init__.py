"""The tasks: how often each runs and fails, and how long it waits and takes."""
