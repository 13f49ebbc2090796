"""What the harness has to know of a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class System:
    """A system on one kind of store. Its name and its store together are unique."""

    name: str
    store: str
    """``redis``, ``postgres``, ``sqlite`` or ``memory``."""

    packages: tuple[str, ...]
    """What pip is to install, the distribution called ``name`` among it."""

    source: Path | None = None
    """A folder among the packages: it is installed as it is at the start of each run."""

    jobs: str
    """The module in ``projects`` that has its jobs and enqueues them."""

    worker: tuple[str, ...] = ()
    """The command that starts one worker process; ``{width}`` is how many jobs at once. None: jobs run where they are
    enqueued."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the Django site; in texts ``{url}`` is the store's."""

    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands that set up an empty database."""

    environ: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its processes."""

    threads: bool = True
    """Whether one worker process runs several sync jobs at once."""

    coroutines: bool = False
    """Whether it runs async jobs side by side."""

    many: bool = False
    """Whether it has a call that enqueues many jobs."""

    remark: str = ""
    """How it was set up, for the reader of its figures."""

    is_silent: bool = False
    """Whether its log lines about jobs that end well are switched off."""

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.name}/{self.store}{self.note}"

    @property
    def note(self) -> str:
        """What follows its name."""
        return ", log off" if self.is_silent else ""

    def silent(self) -> System:
        """Return it with its log off: itself, if the settings of Django do not decide on its log."""
        return replace(self, is_silent="DJANGO_SETTINGS_MODULE" in self.environ)


MANAGE = ("python", "-m", "django")
MIGRATE = (*MANAGE, "migrate", "--verbosity", "0")
DJANGO = {"DJANGO_SETTINGS_MODULE": "settings"}
