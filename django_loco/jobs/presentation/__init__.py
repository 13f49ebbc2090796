"""A stored job as people see it: its fields, and why it does not run."""
