"""Fetches jobs from the queue, holds them until their outcomes are stored, and gives back what does not begin."""
