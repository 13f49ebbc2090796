"""Signals of the operating system, from where they arrive to what they mean."""
