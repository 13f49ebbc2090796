"""The management commands. Each parses its arguments, builds a process, and runs it."""
