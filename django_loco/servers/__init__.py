"""How each server, and a process without one, starts and stops what runs inside it."""
