"""The jobs that match a filter, by state, and what can be done with many of them."""
