"""One attempt at a job: its context, its time limit, its outcome."""
