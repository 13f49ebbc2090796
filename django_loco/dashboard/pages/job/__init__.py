"""One job: its life, why it does not run, its data, attempts, errors and log, and the operations on it."""
