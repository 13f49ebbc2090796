"""A process from start to exit: signals, child processes, code reloads, health, exit.

Where a signal goes
-------------------
``loco_worker``, and ``loco_start`` with ``runserver``, uvicorn or Daphne
    We own the process. ``signals.handlers`` catches the signal and calls ``Process``, ``signals.escalation`` counts it
    and asks ``Shutdown`` (``django_loco/shutdown.py``) for the end, and ``Process.run`` carries that out.
``loco_start`` with gunicorn, and components inside gunicorn, uvicorn or hypercorn
    The server owns the process. ``signals.relay`` keeps the signal from it, ``embedded`` runs the shutdown, and hands
    the signal on when the server's turn has come.
``--processes``
    ``children.parent`` passes the signal on to each child through ``children.control_channel``. A child is a process
    that we own.
while code is reloaded
    ``autoreload`` is the parent, which passes the signal on in the same way.
"""
