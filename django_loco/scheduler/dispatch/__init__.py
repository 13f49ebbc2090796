"""Finds the schedules that are due and enqueues their jobs."""
