"""The workers: what they do, and buttons to quiet and stop them; and the schedulers."""
