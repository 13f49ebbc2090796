"""From the call of a task to its stored job: new jobs, several at once, the jobs of ticks, and duplicates."""
