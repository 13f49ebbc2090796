"""The threads of a worker beside the fetcher: heartbeat, cancellations, housekeeping (reaper, pruner), isolation."""
