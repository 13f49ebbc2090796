"""A process from start to exit: signals, child processes, code reloads, health, exit.

Where a signal goes
-------------------
``loco_worker``, and ``loco_start`` with ``runserver``, uvicorn or Daphne
    This package owns the process. ``signals.handlers`` catches the signal and calls ``Process``. ``signals.escalation``
    counts it and asks ``Shutdown`` (``django_loco/shutdown.py``) for the end. ``Process.run`` carries out the shutdown.
``loco_start`` with gunicorn, and components inside gunicorn, uvicorn or hypercorn
    The server owns the process. ``signals.relay`` keeps the signal from the server. ``embedded`` runs the shutdown, and
    hands the signal on when it is the server's turn to stop.
``--processes``
    ``children.parent`` passes the signal on to each child through ``children.control_channel``. A child is a process
    that this package owns.
while code is reloaded
    ``autoreload`` is the parent, which passes the signal on in the same way.
"""
