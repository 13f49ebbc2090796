"""The queues: how many jobs each has, what comes and goes, and which of its tasks are slow or fail."""
