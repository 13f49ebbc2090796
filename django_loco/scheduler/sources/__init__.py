"""Where schedules are kept: the settings, a file, the database; and what schedules of the database may run."""
