"""The jobs in the memory of a process: those that wait, are held or have ended, and how they are looked up."""
