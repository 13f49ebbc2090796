"""Health checks: what is asked, what is answered, and a server for processes that have none."""
