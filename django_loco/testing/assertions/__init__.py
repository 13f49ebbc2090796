"""The assertions about enqueued jobs, and their messages."""
