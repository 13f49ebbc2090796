"""The parts of ``loco_jobs``."""
