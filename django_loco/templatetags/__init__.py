"""Tags for templates of projects: ``{% load django_loco %}``."""
