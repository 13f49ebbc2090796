"""Statistics of jobs: counted in memory, and written to the queue once a minute.

1. ``Tally`` counts each run whose outcome the queue has accepted, or whose worker died. This takes less than a
   microsecond and no call to the store.
2. ``MinuteWriter`` writes the counts with ``Queue.record``, once a minute and at the end of the worker.

3. ``Arrivals`` counts the jobs that any process enqueues, and writes the counts in a separate thread.

A process that is killed loses the counts since the last write: a minute at most.
"""
