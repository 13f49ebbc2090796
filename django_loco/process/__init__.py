"""A process from start to exit: signals, child processes, code reloads, health, exit."""
