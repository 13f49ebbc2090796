"""Restarts a process when the code of the project changes."""
