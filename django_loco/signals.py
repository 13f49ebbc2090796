"""Signals about workers, jobs and schedules, in addition to the signals of Django's Tasks framework.

Each receiver gets these keyword arguments, and ``signal`` and ``sender``, the class that sends it.

==================  ==================================================================================================
``worker_started``  ``worker_id`` (str), ``backend`` (str, the key in ``TASKS``), ``queues`` (tuple of names; ``None``:
                    all)
``worker_quieted``  the same: it takes no more jobs, and ends when those that run have ended
``worker_stopped``  the same: it has ended, and has stored all outcomes that it could
``job_retried``     ``task_result``, ``exception``, ``run_after`` (an aware datetime): an attempt has failed, and
                    another one follows
``job_cancelled``   ``task_result``: somebody has cancelled or discarded the job, or it has discarded itself or
                    expired; sent after ``task_finished``
``job_lost``        ``task_result``: its worker has died. Its ``status`` says whether the job is ``READY`` again or has
                    ``FAILED``, because it took too many workers down
``job_released``    ``task_result``: it had begun and runs again elsewhere, because its worker had to end
``tick_fired``      ``schedule`` (str, the name), ``due_at`` (an aware datetime), ``lateness`` (float, in seconds),
                    ``task_result``
``tick_late``       the same, after ``tick_fired``, if the tick was fired more than five seconds late
``tick_skipped``    ``schedule``, ``due_at``, ``reason``: ``"missed"``, ``"overlap"``, ``"paused"`` or ``"error"``
==================  ==================================================================================================

An exception of a receiver is logged, and affects neither other receivers nor what the signal is about. Receivers are
called in a thread of the worker or the scheduler, which goes on when they return.
"""

from django.dispatch import Signal

worker_started = Signal()
worker_quieted = Signal()
worker_stopped = Signal()
job_retried = Signal()
job_cancelled = Signal()
job_lost = Signal()
job_released = Signal()
tick_fired = Signal()
tick_late = Signal()
tick_skipped = Signal()
