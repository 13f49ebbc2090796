"""The records, other than jobs, of the database queue. ``poll`` reads all that workers need of them in one go."""
