"""The schedules: when each runs next, how its last runs ended, and buttons to run and pause it."""
