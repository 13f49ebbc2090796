"""What is not about single jobs: pauses, commands to workers, and the numbers of jobs in each queue."""
