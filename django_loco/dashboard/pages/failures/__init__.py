"""Failed jobs grouped by error: one row for each kind of error, however many jobs have it."""
