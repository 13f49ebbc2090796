"""Connections to Redis: the client that makes them, one kept at hand, the way to another primary, what errors mean."""
