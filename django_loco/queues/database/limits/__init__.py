"""Limited jobs in a database: how workers claim them, whose turn it is, and the records of the limits."""
