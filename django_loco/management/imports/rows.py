"""Stores the schedules of other systems as rows, if they pass the checks of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from ...scheduler.api.control import mark_paused, mark_resumed
from ...scheduler.sources.tables import model, writable_alias
from .foreign_schedules import ForeignSchedule

State = Literal["imported", "replaced", "unchanged", "left out"]
#: The beginning of ``by``. It distinguishes pauses by imports from pauses by people.
PAUSED_BY = "loco_import"
#: Fields whose value is left out if it is invalid here, and the note for this case.
OPTIONAL = {"queue": "The queue {!r} is not in QUEUES of TASKS: its jobs are in the queue of their task."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The result of the import of one schedule."""

    name: str
    state: State
    run: str = ""
    schedule: str = ""
    is_paused: bool = False
    notes: tuple[str, ...] = ()
    reason: str = ""
    """Why the schedule was left out."""


def import_schedules(
    found: Iterable[ForeignSchedule],
    *,
    replaces: bool = False,
    dry_run: bool = False,
    paths: Mapping[str, str] | None = None,
    by: str = PAUSED_BY,
) -> Iterator[Imported]:
    """Store each schedule and yield the result. Errors of the database are raised.

    An existing row with the same name is not changed, unless ``replaces``. If ``replaces``, and the schedule is on in
    the other system, a pause by an earlier import ends; a pause by somebody else stays. ``paths`` maps the paths of
    tasks there to paths here. A schedule that is off there is paused, and ``by`` says by whom. With ``dry_run`` nothing
    is stored.
    """
    seen: set[str] = set()
    for each in found:
        if each.problem:
            yield Imported(name=each.name, state="left out", reason=each.problem)
        elif each.name in seen:
            yield Imported(name=each.name, state="left out", reason="another one above has the same name.")
        else:
            seen.add(each.name)
            yield _imported(_renamed(each, paths or {}), replaces=replaces, dry_run=dry_run, by=by)


def _renamed(each: ForeignSchedule, paths: Mapping[str, str]) -> ForeignSchedule:
    path, space, rest = str(each.values["run"]).partition(" ")
    values = {**each.values, "run": f"{paths.get(path, path)}{space}{rest}"}
    return ForeignSchedule(name=each.name, values=values, is_paused=each.is_paused, notes=each.notes)


def _imported(each: ForeignSchedule, *, replaces: bool, dry_run: bool, by: str) -> Imported:
    notes = list(each.notes)
    before = model("Schedule").objects.using(writable_alias()).filter(name=each.name).first()
    paused_by = _paused_by(each.name)
    row, refused = _row_of(before, each, notes)
    if refused:
        reason = " ".join(message for messages in refused.values() for message in messages)
        return Imported(name=each.name, state="left out", reason=reason)
    state: State = "imported" if before is None else "replaced"
    if before is not None:
        if _same(before, row) and not (replaces and _changes_pause(each, paused_by)):
            state = "unchanged"
        elif not replaces:
            reason = "a row with this name exists, and is another one. --replace overwrites it."
            return Imported(name=each.name, state="left out", reason=reason)
    is_paused = paused_by is not None
    if state != "unchanged":  # an unchanged row keeps its pause, too
        if not dry_run:
            _save(row, each, paused_by, by)
        is_paused ^= _changes_pause(each, paused_by)
        if is_paused and not each.is_paused:
            notes.append(f"It stays paused, by {paused_by or 'somebody'}.")
    when = row.schedule or f"at {row.at:%Y-%m-%d %H:%M:%S %Z}".rstrip()
    return Imported(name=each.name, state=state, run=row.run, schedule=when, is_paused=is_paused, notes=tuple(notes))


def _row_of(before: Any | None, each: ForeignSchedule, notes: list[str]) -> tuple[Any, dict[str, Any]]:
    """Return the row and its errors. An invalid value of an ``OPTIONAL`` field is left out, with a note."""
    values = dict(each.values)
    row, refused = _checked(before, each.name, values)
    if dropped := OPTIONAL.keys() & refused.keys() & values.keys():
        notes += [OPTIONAL[field].format(values.pop(field)) for field in dropped]
        row, refused = _checked(before, each.name, values)
    return row, refused


def _checked(before: Any | None, name: str, values: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the row that replaces ``before``, and its errors by field, as the admin would show them."""
    stored = {field: _stored(value) for field, value in values.items()}
    row = model("Schedule")(pk=before.pk if before else None, name=name, **stored)
    row._state.adding = before is None  # noqa: SLF001 - documented by Django; otherwise its name would seem taken
    try:
        row.full_clean()
    except ValidationError as error:
        return row, error.message_dict
    return row, {}


def _stored(value: Any) -> Any:
    """Return a value as the database stores it: without ``USE_TZ`` a moment has no zone."""
    if settings.USE_TZ or not isinstance(value, datetime):
        return value
    return timezone.make_naive(value, timezone.get_default_timezone())


def _same(one: Any, other: Any) -> bool:
    names = [field.name for field in one._meta.concrete_fields if field.editable and not field.primary_key]  # noqa: SLF001
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _paused_by(name: str) -> str | None:
    """Return who has paused the schedule ``name``; ``None`` if it is not paused."""
    states = model("ScheduleState").objects.using(writable_alias())
    by: str | None = states.filter(name=name, paused_at__isnull=False).values_list("paused_by", flat=True).first()
    return by


def _changes_pause(each: ForeignSchedule, paused_by: str | None) -> bool:
    """Return whether to pause the schedule, or to end a pause by an import. A pause by somebody else stays."""
    if each.is_paused:
        return paused_by is None
    return paused_by is not None and paused_by.startswith(PAUSED_BY)


def _save(row: Any, each: ForeignSchedule, paused_by: str | None, by: str) -> None:
    """Store a row and its pause together, so that no scheduler sees the row without its pause."""
    with transaction.atomic(using=writable_alias()):
        row.save(using=writable_alias())
        if _changes_pause(each, paused_by):
            mark_paused(row.name, by=by) if each.is_paused else mark_resumed(row.name)
