"""Calls with a unique key: what becomes of a call, or of a tick, while another job holds the key."""
