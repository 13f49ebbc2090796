"""Workflows and batches: a list of the newest, and a page for each with its graph, its jobs and its callbacks."""
