"""The contract of jobs that belong together: batches, and the workflows that are made of them."""
