"""Statistics of jobs: counted in memory, and written to the queue once a minute.

1. ``Tally`` counts each run whose outcome the queue has accepted, or whose worker died. That takes less than a
   microsecond, and no call to the store.
2. ``MinuteWriter`` writes what was counted, once a minute and at the end of the worker, with ``Queue.record``.

3. ``Arrivals`` counts the jobs that any process enqueues, and writes them with a thread of its own.

A process that is killed loses what it has counted since the last write, a minute at most.
"""
