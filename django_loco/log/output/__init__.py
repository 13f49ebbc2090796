"""Where log lines go: streams that never make a job wait."""
