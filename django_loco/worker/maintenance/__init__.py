"""The threads of a worker beside the fetcher: heartbeat, housekeeping (reaper and pruner), listener, isolation."""
