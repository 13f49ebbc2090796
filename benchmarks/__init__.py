"""Side-by-side measurements of django-loco and of what else runs jobs in Python: ``python benchmarks/run.py --help``.

How it is built, from the outside in:

``run.py``, ``command.py``
    the command line: which systems, which measures, how many rounds.
``arguments.py``
    lists of names on a command line.
``measures.py``
    what is measured, each measure one function of a ``Trial``.
``trial.py``
    one system on a fresh store: enqueue, run a worker, read what the jobs have left behind.
``stores.py``, ``environments.py``, ``processes.py``
    private servers, virtual environments, and programs that are stopped at the end, whatever happens.
``systems/``
    one module per system: what to install, how to start its worker, and its settings.
``projects/``
    what runs inside the processes that are measured: the jobs, each system's way to enqueue them, the clock.
``report.py``
    the figures as Markdown.
``schedules.py``
    a measurement of its own: what many schedules cost, and several schedulers of them.
``control.py``
    a measurement of its own: what unique jobs, limits, batches and chains cost.
``mass.py``
    a measurement of its own: what operations on many stored jobs cost.
``web.py``
    a measurement of its own: what jobs cost the response times of a page in the same process.
``dashboard.py``
    a measurement of its own: what open pages of the dashboard cost a worker.
"""
