"""The parts of a shutdown; ``django_loco.shutdown`` puts them together."""
