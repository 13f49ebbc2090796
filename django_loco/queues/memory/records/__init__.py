"""The records, other than jobs, of the queue in memory."""
