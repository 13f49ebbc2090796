"""Where schedules are kept: the settings, a file, the database; and which of those may run what."""
