"""The queues: how many jobs each has, how many come and go, and which of its tasks are slow or fail."""
