"""Failed jobs by what went wrong: one row for each kind of error, however many jobs have it."""
