"""The parts of a shutdown: hooks, resources, leaks, forks. ``django_loco.shutdown`` puts them together."""
