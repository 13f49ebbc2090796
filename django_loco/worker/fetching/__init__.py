"""Fetches jobs from the queue, holds them until their outcomes are stored, and hands back those that do not begin."""
