"""The functions of ``django_loco.scheduler``, and checks that need all schedules of the project."""
