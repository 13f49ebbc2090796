"""From what was asked for, on a command line or in an environment, to the components that a process runs."""
