"""Signals of the operating system: how they arrive, are counted, and are relayed to a server."""
