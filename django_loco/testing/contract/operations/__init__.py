"""The contract of operations by people: changes of jobs, pauses, and signals."""
