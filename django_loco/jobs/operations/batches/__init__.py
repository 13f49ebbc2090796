"""Batches of jobs: ``batch`` is what users write, ``settling`` finishes batches and enqueues what follows."""
