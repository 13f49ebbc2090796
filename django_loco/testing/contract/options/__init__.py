"""The contract of options of tasks and aliases: unique keys, limits, how long jobs are kept, and ageing."""
