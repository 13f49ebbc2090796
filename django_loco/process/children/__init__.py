"""Processes that a parent starts, watches and replaces."""
