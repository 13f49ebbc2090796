"""``loco_jobs pause`` and ``loco_jobs resume``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from ... import jobs
from ...core.validation import nearest
from ...jobs.control.pauses import KINDS, Kind, having
from ...jobs.presentation.known_names import unknown_task
from ...jobs.stores import searched


def set_paused(options: Mapping[str, Any], stdout: OutputWrapper, *, pauses: bool) -> None:
    """Pause or resume what ``options`` name. Raises ``CommandError`` if there is no pause of an unknown name."""
    what = {kind: options[kind] for kind in KINDS}
    [(kind, name)] = [(kind, name) for kind, name in what.items() if name is not None]
    backend = options["backend"]
    if pauses:
        jobs.pause(**what, backend=backend, force=options["force"])
        stdout.write(f"The {kind} {name!r} is paused. Jobs that run go on. To end the pause: {_resuming(kind, name)}")
    elif jobs.resume(**what, backend=backend):
        stdout.write(f"The {kind} {name!r} is not paused any more.")
    else:
        text = f"The {kind} {name!r} was not paused."
        if hint := _paused_instead(kind, name, backend):
            raise CommandError(f"{text} {hint}")
        if problem := _unknown(kind, name, backend):
            raise CommandError(f"{text} {problem[0].upper()}{problem[1:]}")
        stdout.write(text)


def _resuming(kind: Kind, name: str) -> str:
    return f"loco_jobs resume {'' if kind == 'queue' else f'--{kind} '}{shlex.quote(name)}"


def _paused_instead(kind: Kind, name: str, backend: str | None) -> str:
    """Return a sentence about what is paused and may be meant: of this name, or of a similar one; empty if nothing."""
    for other in KINDS:
        if other != kind and name in _paused(other, backend):
            return f"A {other} of this name is paused. To end that: {_resuming(other, name)}"
    if _unknown(kind, name, backend) and (near := nearest(name, sorted(_paused(kind, backend)))):
        return f"Did you mean {near!r}? To end its pause: {_resuming(kind, near)}"
    return ""


def _paused(kind: Kind, backend: str | None) -> set[str]:
    return {name for names in jobs.paused(kind, backend=backend).values() for name in names}


def _unknown(kind: Kind, name: str, backend: str | None) -> str:
    """Return a sentence if no queue or task has this name; any text may be a tag."""
    if kind == "task":
        return unknown_task(name, searched(backend)) or ""
    try:
        if kind == "queue":
            having(name, backend)
    except ValueError as error:
        return str(error)
    return ""
