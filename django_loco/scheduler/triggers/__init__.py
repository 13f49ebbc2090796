"""When a schedule is due: pure functions of a moment, and the languages in which they are written."""
