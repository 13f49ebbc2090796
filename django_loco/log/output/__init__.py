"""Where log lines go: streams and handlers that never make a job wait."""
