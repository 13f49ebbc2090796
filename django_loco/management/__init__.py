"""Commands, and what they build: parse, build, run."""
