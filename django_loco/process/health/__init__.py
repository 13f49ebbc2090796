"""Health checks: their answers, and an HTTP server for processes that have none."""
