"""Sums up the state of all jobs as one word and one colour, with a list of all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ....jobs.page_parts.scope import BY_QUEUE
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ...charts.durations import coarse
from ...links import list_url
from .facts import Facts

#: The most names of queues, tasks and tags in a sentence.
NAMES = 3
#: The seconds after which a due job has waited long, and too long.
LONG, TOO_LONG = 60, 300


@dataclass(frozen=True, slots=True)
class HealthMessage:
    """One problem."""

    sentence: str
    page: str
    """The name of the page that shows it."""

    remedy: str
    is_bad: bool = False
    url: str = ""
    """The address of the page, if the user may see it."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of all jobs."""

    level: str
    """``"good"``, ``"warning"`` or ``"bad"``: the name of a colour."""

    word: str
    messages: Sequence[HealthMessage]
    """The worst problem comes first. If all is well, the only message says so."""

    @property
    def sentence(self) -> str:
        """All sentences as one text."""
        return " ".join(each.sentence for each in self.messages)


def health_of(facts: Facts, pages: Mapping[str, str]) -> Health:
    """Return the state of all jobs. ``pages`` has the addresses, by name, of the pages that the user may see."""
    found = sorted(_messages(facts, pages), key=lambda each: not each.is_bad)
    if not found:
        return Health("good", _("Healthy"), [HealthMessage(_all_is_well(facts), "", "")])
    if found[0].is_bad:
        return Health("bad", _("Trouble"), found)
    return Health("warning", _("Attention"), found)


def _messages(facts: Facts, pages: Mapping[str, str]) -> Iterator[HealthMessage]:
    for of_kind in (_no_worker, _no_scheduler, _wait, _failures, _off, _dead, _paused, _paused_jobs):
        for each in of_kind(facts):
            if each.page != "schedules" or each.page in pages:  # schedules have a separate permission
                yield replace(each, url=each.url or pages.get(each.page, ""))


def _all_is_well(facts: Facts) -> str:
    if any(each.failed_last_hour for each in facts.rates.values()):
        return _("No failed job of the last hour is left.")
    if not facts.scope.is_made_of(BY_QUEUE):
        return _("No job failed in the last hour.")
    if facts.scope.is_narrowed:
        return _("No job waits for long, and none failed in the last hour.")
    alive = sum(worker.is_alive for worker in facts.workers)
    text = ngettext(
        "%(count)s worker is alive, no job waits for long, and none failed in the last hour.",
        "%(count)s workers are alive, no job waits for long, and none failed in the last hour.",
        alive,
    )
    return text % {"count": alive}


def _no_worker(facts: Facts) -> Iterator[HealthMessage]:
    waiting = [each for each in facts.queues if each.ready and each.backend in facts.workerless]
    number = sum(each.ready for each in waiting)
    more = "+" if any(each.ready.is_capped for each in waiting) else ""
    text = ngettext(
        "No worker is alive, and %(count)s job waits.", "No worker is alive, and %(count)s jobs wait.", number
    )
    if number:
        remedy = _("Start one: manage.py loco_worker, or loco_start --worker.")
        yield HealthMessage(text % {"count": f"{number_text(number)}{more}"}, "workers", remedy, is_bad=True)


def _no_scheduler(facts: Facts) -> Iterator[HealthMessage]:
    number = facts.schedules.waiting if facts.is_scheduler_missing else 0
    text = ngettext(
        "No scheduler is alive, and %(count)s schedule waits.",
        "No scheduler is alive, and %(count)s schedules wait.",
        number,
    )
    if number:
        remedy = _("Start one: manage.py loco_scheduler, or loco_start --scheduler.")
        yield HealthMessage(text % {"count": number_text(number)}, "schedules", remedy, is_bad=True)


def _wait(facts: Facts) -> Iterator[HealthMessage]:
    """Yield the longest wait in a queue that is not paused and has workers. Other queues wait for other reasons."""
    queues = {(each.backend, each.queue): each.is_paused for each in facts.queues}
    ages = [
        (seconds, key) for key, seconds in facts.ages.items() if not queues.get(key) and key[0] not in facts.workerless
    ]
    seconds, key = max(ages, default=(0.0, ("", "")))
    if seconds < LONG:
        return
    text = _("The oldest job of %(queue)s has waited for %(age)s.")
    words = ("status", "waiting"), ("queue", key[1]), ("backend", key[0])
    yield HealthMessage(
        text % {"queue": one_line(key[1]), "age": coarse(seconds)},
        "queues",
        _("The page of each job says why it waits."),
        is_bad=seconds >= TOO_LONG,
        url=list_url(*words) if key in queues else "",
    )


def _failures(facts: Facts) -> Iterator[HealthMessage]:
    number = facts.failed_recently
    text = ngettext("%(count)s job failed in the last hour.", "%(count)s jobs failed in the last hour.", number)
    if number:
        yield HealthMessage(text % {"count": number.text}, "failures", _("Correct the cause, then retry them there."))


def _off(facts: Facts) -> Iterator[HealthMessage]:
    number = len(facts.schedules.off)
    text = ngettext(
        "%(count)s schedule is off, because of a mistake in it.",
        "%(count)s schedules are off, because of mistakes in them.",
        number,
    )
    if number:
        yield HealthMessage(
            text % {"count": number_text(number)}, "schedules", _("The page of schedules names the mistake.")
        )


def _dead(facts: Facts) -> Iterator[HealthMessage]:
    number = sum(not worker.is_alive for worker in facts.workers)
    text = ngettext("%(count)s worker has stopped responding.", "%(count)s workers have stopped responding.", number)
    if number:
        remedy = _("Other workers take over its jobs when their leases have run out.")
        yield HealthMessage(text % {"count": number_text(number)}, "workers", remedy)


def _paused(facts: Facts) -> Iterator[HealthMessage]:
    names = [one_line(each.queue) for each in facts.queues if each.is_paused and each.ready]
    if names:
        text = _("Jobs wait in paused queues: %(names)s.") % {"names": _some(names)}
        yield HealthMessage(text, "queues", _("Resume them there."))


def _paused_jobs(facts: Facts) -> Iterator[HealthMessage]:
    names = [*dict.fromkeys(one_line(each.name) for each in facts.pauses)]
    if names:
        text = _("Tasks or tags are paused: %(names)s.") % {"names": _some(names)}
        yield HealthMessage(text, "tasks", _("Resume them there."))


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:NAMES])}{', …' if len(names) > NAMES else ''}"
