"""Runs jobs.

The path of a job through this package:

1. ``fetching/fetcher`` fetches it from the queue, and ``fetching/held_jobs`` hands it to a pool.
2. One of the threads of ``pools/threads``, or ``pools/event_loop``, takes it.
3. ``execution/executor`` calls its task and returns the outcome, which the pool leaves in ``outcomes/inbox``.
4. ``fetching/fetcher`` collects the outcome, and ``outcomes/acknowledger`` stores it in the queue.

``maintenance`` has the threads that work beside it: the heartbeat renews the worker's claims on its jobs, the reaper
rescues the jobs of dead workers by ``Queue.rescue``. ``worker`` puts the parts together, ``in_process`` makes workers
from the settings.
"""
