"""What is done with the jobs in a database, beside what a worker does: storing, changing, reading, deleting them."""
