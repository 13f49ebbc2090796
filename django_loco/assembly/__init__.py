"""Assembles a process: from command line arguments to its components and their supervisor."""
