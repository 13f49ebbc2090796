"""Workflows and batches: a list of the newest, and a page of each with its graph, its jobs, and what follows."""
