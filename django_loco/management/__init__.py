"""The management commands: each parses its arguments, builds a process, and runs it."""
