"""The outcomes of jobs on their way from the pools to the queue."""
