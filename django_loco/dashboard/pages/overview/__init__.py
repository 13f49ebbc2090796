"""How all jobs fare, on one screen."""
