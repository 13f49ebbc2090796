"""From a schedule that is due to the job that it makes."""
