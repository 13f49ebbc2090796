"""The web servers: how each one starts, serves, and stops."""
