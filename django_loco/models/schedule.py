"""The tables of schedules in the database, and of the pauses of all schedules."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models, router
from django.db.models import Count, Max, Sum
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

MAX_NAME_LENGTH = 200
_POSITIVE = [MinValueValidator(1)]
_NOT_NEGATIVE = [MinValueValidator(0.0)]


def new_revision() -> int:
    """Return a random number that identifies a change of a row, even if the clocks of machines differ."""
    return random.randrange(2**31)  # noqa: S311 - not a secret


#: The columns that say when a row runs, and what. Only their changes set ``changed_at``, so that a row that is saved
#: again by every deploy keeps the ticks that nobody could fire meanwhile.
TICK_COLUMNS = ("name", "run", "schedule", "at", "after", "timezone", "start", "end", "tags")
#: The columns that a change sets.
_MARKS = ("changed_at", "revision")


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Marks rows as changed, so that schedulers also see bulk changes."""

    def update(self, **values: Any) -> int:
        """Change all rows. ``bulk_update`` calls this method, too."""
        marks = {"changed_at": now()} if values.keys() & {*TICK_COLUMNS} else {}
        return super().update(**{"revision": new_revision(), **marks, **values})

    def bulk_create(  # noqa: PLR0917 - Django's own signature
        self,
        objs: Iterable[Schedule],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Schedule]:
        """Insert rows, or change existing ones."""
        rows = list(objs)
        before = self._ticks(name__in=[row.name for row in rows]) if update_conflicts else {}
        for row in rows:
            row.note_change(before.get(row.name), update_fields)
        fields = {*update_fields, *_MARKS} if update_fields else update_fields
        return super().bulk_create(rows, batch_size, ignore_conflicts, update_conflicts, fields, unique_fields)

    def _ticks(self, **lookup: Any) -> dict[str, Mapping[str, Any]]:
        """Return what the stored rows say about their ticks, by name; nothing if SQL has written an unreadable row."""
        try:
            return {row["name"]: row for row in self.filter(**lookup).values(*TICK_COLUMNS, "changed_at")}
        except Exception:  # noqa: BLE001 - a converter may raise anything
            return {}

    def version(self) -> tuple[Any, ...]:
        """Return a value that changes with every change of a row. Makes one query."""
        found = self.aggregate(count=Count("pk"), newest=Max("pk"), changed_at=Max("changed_at"), sum=Sum("revision"))
        return tuple(found.values())


class Schedule(models.Model):
    """A schedule with the same keys as an entry of ``LOCO["SCHEDULE"]``. A blank field is an omitted key.

    It runs only tasks and commands that the code exposes: see ``scheduler.expose``.
    """

    rules: ClassVar[list[Callable[[Schedule], object]]] = []
    """Checks of the whole row, which raise ``ValidationError``. The app sets them."""

    is_name_of_code: ClassVar[staticmethod[[str], bool]] = staticmethod(lambda _name: False)
    """Whether code or settings have a schedule of this name, so that its pause belongs to them. Set by the app."""

    class Misfire(models.TextChoices):
        """How missed runs are handled."""

        SKIP = "skip", _("leave them out")
        ONCE = "once", _("make up for the last one")
        ALL = "all", _("make up for all")

    class Overlap(models.TextChoices):
        """How a run is handled while the previous one has not ended."""

        ALLOW = "allow", _("run both")
        SKIP = "skip", _("leave it out")
        QUEUE = "queue", _("let it wait")

    name = models.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    description = models.TextField(blank=True)
    run = models.CharField(max_length=1000)
    args = models.JSONField(default=list, blank=True)
    kwargs = models.JSONField(default=dict, blank=True)
    schedule = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(null=True, blank=True)
    after = models.CharField(max_length=MAX_NAME_LENGTH, blank=True)
    timezone = models.CharField(max_length=100, blank=True)
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)
    jitter = models.FloatField(null=True, blank=True, validators=_NOT_NEGATIVE)
    misfire = models.CharField(max_length=10, choices=Misfire.choices, default=Misfire.ONCE)
    grace = models.FloatField(null=True, blank=True, validators=_NOT_NEGATIVE)
    cap = models.PositiveIntegerField(null=True, blank=True, validators=_POSITIVE)
    overlap = models.CharField(max_length=10, choices=Overlap.choices, default=Overlap.ALLOW)
    queue = models.CharField(max_length=100, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    max_attempts = models.PositiveIntegerField(null=True, blank=True, validators=_POSITIVE)
    timeout = models.FloatField(null=True, blank=True, validators=_NOT_NEGATIVE)
    expires = models.FloatField(null=True, blank=True, validators=_NOT_NEGATIVE)
    tags = models.JSONField(default=list, blank=True)
    #: When it was added, or when one of ``TICK_COLUMNS`` was last changed.
    changed_at = models.DateTimeField(default=now, editable=False)
    revision = models.PositiveIntegerField(default=new_revision, editable=False)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_schedule"
        ordering = ["name"]

    def __str__(self) -> str:
        return str(self.name)  # SQLite may store anything in a text column

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Save the row, and mark it as changed for the schedulers."""
        using = options.get("using") or router.db_for_write(type(self), instance=self)
        before = type(self).objects.using(using)._ticks(pk=self.pk) if self.pk else {}  # noqa: SLF001 - of this module
        self.note_change(next(iter(before.values()), None), update_fields)
        fields = update_fields if update_fields is None else {*update_fields, *_MARKS}
        super().save(*args, update_fields=fields, **options)

    def clean(self) -> None:
        """Raise ``ValidationError`` if a scheduler would refuse the row."""
        for field in ("args", "kwargs", "tags"):
            if getattr(self, field) is None:  # an empty field of a form
                setattr(self, field, {} if field == "kwargs" else [])
        for rule in self.rules:
            rule(self)

    def note_change(self, before: Mapping[str, Any] | None = None, fields: Iterable[str] | None = None) -> None:
        """Mark the row as changed. ``before`` has its stored values; ``fields`` are saved, by default all."""
        saved = TICK_COLUMNS if fields is None else {*TICK_COLUMNS} & {*fields}
        is_same = before is not None and all(getattr(self, field) == before[field] for field in saved)
        self.changed_at = before["changed_at"] if before is not None and is_same else now()
        self.revision = new_revision()


#: The names of the columns on pages. They are set after the class is made, so that migrations do not contain them.
_LABELS = {
    "name": _("name"),
    "description": _("description"),
    "run": pgettext_lazy("what a schedule runs", "run"),
    "schedule": _("schedule"),
    "start": pgettext_lazy("of a schedule", "start"),
    "end": pgettext_lazy("of a schedule", "end"),
    "jitter": _("jitter"),
    "grace": _("grace"),
    "cap": _("cap"),
    "overlap": _("overlap"),
    "queue": _("queue"),
    "priority": _("priority"),
    "max_attempts": _("max attempts"),
    "timeout": _("timeout"),
    "expires": _("expires"),
    "tags": _("tags"),
}
for _name, _label in _LABELS.items():
    Schedule._meta.get_field(_name).verbose_name = _label  # type: ignore[union-attr]  # noqa: SLF001 - a public interface
Schedule._meta.verbose_name = _("schedule")  # noqa: SLF001
Schedule._meta.verbose_name_plural = _("schedules")  # noqa: SLF001


class ScheduleState(models.Model):
    """The pause of the schedule ``name``, which may come from code, settings, a file or the database."""

    name = models.CharField(max_length=MAX_NAME_LENGTH, primary_key=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=200, blank=True)
    resumed_at = models.DateTimeField(null=True, blank=True)
    """When its last pause ended. Ticks up to then are not fired."""

    class Meta:
        """Options of the table."""

        app_label = "django_loco"
        db_table = "django_loco_schedule_state"
        verbose_name = "schedule state"

    def __str__(self) -> str:
        return self.name


@receiver(post_delete, sender=Schedule)
def _forget_pause(*, instance: Schedule, using: str, **kwargs: Any) -> None:
    """Delete the pause of a deleted schedule, so that a new schedule with the same name is not paused.

    If the code has a schedule with the same name, that schedule is the one that runs. The pause belongs to it and
    stays.
    """
    if not instance.is_name_of_code(instance.name):
        ScheduleState.objects.using(using).filter(name=instance.name).delete()
