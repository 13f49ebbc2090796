"""The contract of jobs that belong together: batches, and workflows, which are built on batches."""
