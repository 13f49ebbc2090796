"""The contract of what people control with keys: unique jobs, and limits."""
