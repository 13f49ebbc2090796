"""Connections to Redis: the client that makes them, one that is kept at hand, and the way to another primary."""
