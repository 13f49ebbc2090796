"""The records, other than jobs, of the database queue."""
