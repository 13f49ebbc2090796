"""The commands of the matrix, and what becomes of each event there."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from django_loco.process.exit_codes import KILLED
from django_loco.shutdown import CLEAN

from .matrix_site import REQUESTS

EVENTS = ("TERM", "INT", "INT INT", "HUP", "kill -9", "reload")
BESIDE = ("--worker", "--scheduler")
GUNICORN = ("--timeout", "90", "--graceful-timeout", "30")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A command."""

    name: str
    command: tuple[str, ...]
    app: str = ""
    """What its own gunicorn serves; else ``command`` is one of ``manage.py``."""
    reloading: tuple[str, ...] = ()
    """What else it gets to reload code."""
    processes: int = 1
    slots: int = 5
    """How many sync jobs, and how many async ones, run at once in each process."""
    serves: bool = True
    goes_on: tuple[str, ...] = ("reload",)
    """After which events it goes on."""
    without: dict[str, str] = field(default_factory=dict)
    """Which events make no sense, and why."""
    recycles: bool = False
    """Whether it hands jobs back after a second when the code has changed."""
    resource_of_master: bool = False
    """Whether what the site tracks belongs to a process that has loaded it for all others."""
    killed: int = CLEAN
    """Its exit code when a child was killed (or later, if it goes on then)."""

    @property
    def has_jobs(self) -> bool:
        """Whether it runs jobs."""
        return self.name != "loco_scheduler"


NO_CHILD = {"kill -9": "no child", "reload": "no reloader"}
FORKS = ("HUP", "kill -9", "reload")
OWN_SERVER = ("loco_start", *BESIDE)
ROWS = (
    Row(name="runserver", command=OWN_SERVER, killed=KILLED + signal.SIGKILL),
    Row(name="runserver --noreload", command=(*OWN_SERVER, "--noreload"), without=NO_CHILD),
    Row(
        name="gunicorn sync",
        command=("-w", str(REQUESTS), *GUNICORN),
        app="site_wsgi",
        reloading=("--reload",),
        recycles=True,
        processes=REQUESTS,
        slots=1,
        goes_on=FORKS,
    ),
    Row(
        name="gunicorn gthread",
        command=("-w", "2", "--threads", str(REQUESTS), *GUNICORN),
        app="site_wsgi",
        reloading=("--reload",),
        recycles=True,
        processes=2,
        goes_on=FORKS,
    ),
    Row(
        name="gunicorn asgi",
        command=("-w", "2", "-k", "asgi", *GUNICORN),
        app="site_asgi",
        reloading=("--reload",),
        recycles=True,
        processes=2,
        goes_on=FORKS,
    ),
    Row(
        name="gunicorn --preload",
        command=("--preload", "-w", "2", "--threads", str(REQUESTS), *GUNICORN),
        app="site_wsgi",
        processes=2,
        goes_on=FORKS,
        resource_of_master=True,
        without={"reload": "refused by gunicorn"},
    ),
    Row(name="uvicorn", command=(*OWN_SERVER, "--http", "uvicorn"), killed=KILLED + signal.SIGKILL),
    Row(name="loco_worker", command=("loco_worker",), serves=False, without=NO_CHILD),
    Row(
        name="loco_worker --processes 2",
        command=("loco_worker", "--processes", "2"),
        serves=False,
        processes=2,
        goes_on=("HUP", "kill -9"),
        without={"reload": "HUP does it"},
    ),
    Row(name="loco_scheduler", command=("loco_scheduler",), serves=False, without=NO_CHILD),
)
