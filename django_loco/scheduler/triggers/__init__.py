"""Computes when a schedule is due: pure functions of a moment, and the languages that describe them."""
