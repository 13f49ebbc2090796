"""The jobs that match a filter, by state, and operations on many of them."""
