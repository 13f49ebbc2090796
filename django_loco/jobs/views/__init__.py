"""What people see of a stored job: its fields, and why it does not run."""
