"""Says in one sentence and one colour whether jobs fare well, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ....jobs.page_parts.scope import BY_QUEUE
from ....jobs.presentation.numbers import number_text
from ....log.plain_text import one_line
from ...charts.durations import coarse
from .facts import Facts

#: The seconds after which a due job has waited for long, and for too long.
LONG, TOO_LONG = 60, 300


@dataclass(frozen=True, slots=True)
class Health:
    """The worst that there is to say."""

    level: str
    """``"good"``, ``"warning"`` or ``"bad"``: the name of a colour."""

    word: str
    sentence: str


def health_of(facts: Facts) -> Health:
    """Return the first that is true: nobody works, or fires schedules; a long wait; failures; dead workers; pauses."""
    for level, sentence in (
        ("bad", _no_worker(facts)),
        ("bad", _no_scheduler(facts)),
        _wait(facts),
        ("warning", _failures(facts)),
        ("warning", _off(facts)),
        ("warning", _dead(facts)),
        ("warning", _paused(facts)),
        ("warning", _paused_jobs(facts)),
    ):
        if sentence:
            return Health(level, _("Trouble") if level == "bad" else _("Attention"), sentence)
    return Health("good", _("Healthy"), _all_is_well(facts))


def _all_is_well(facts: Facts) -> str:
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


def _no_worker(facts: Facts) -> str:
    waiting = [each for each in facts.queues if each.ready and each.backend in facts.workerless]
    if not waiting:
        return ""
    number = sum(each.ready for each in waiting)
    more = "+" if any(each.ready.is_capped for each in waiting) else ""
    return ngettext(
        "No worker is alive, and %(count)s job waits.", "No worker is alive, and %(count)s jobs wait.", number
    ) % {"count": f"{number_text(number)}{more}"}


def _no_scheduler(facts: Facts) -> str:
    number = facts.schedules.waiting if facts.is_scheduler_missing else 0
    text = ngettext(
        "No scheduler is alive, and %(count)s schedule waits. Start one: manage.py loco_scheduler, or "
        "loco_start --scheduler.",
        "No scheduler is alive, and %(count)s schedules wait. Start one: manage.py loco_scheduler, or "
        "loco_start --scheduler.",
        number,
    )
    return text % {"count": number_text(number)} if number else ""


def _wait(facts: Facts) -> tuple[str, str]:
    paused = {(each.backend, each.queue) for each in facts.queues if each.is_paused}
    seconds, name = max(((s, key[1]) for key, s in facts.ages.items() if key not in paused), default=(0.0, ""))
    if seconds < LONG:
        return "warning", ""
    level = "bad" if seconds >= TOO_LONG else "warning"
    text = _("The oldest job of %(queue)s has waited for %(age)s.")
    return level, text % {"queue": one_line(name), "age": coarse(seconds)}


def _failures(facts: Facts) -> str:
    number = sum(each.failed_last_hour for each in facts.rates.values())
    text = ngettext("%(count)s job failed in the last hour.", "%(count)s jobs failed in the last hour.", number)
    return text % {"count": number_text(number)} if number else ""


def _off(facts: Facts) -> str:
    number = len(facts.schedules.off)
    text = ngettext(
        "%(count)s schedule is off, because of a mistake in it.",
        "%(count)s schedules are off, because of mistakes in them.",
        number,
    )
    return text % {"count": number} if number else ""


def _dead(facts: Facts) -> str:
    number = sum(not worker.is_alive for worker in facts.workers)
    text = ngettext("%(count)s worker has stopped responding.", "%(count)s workers have stopped responding.", number)
    return text % {"count": number} if number else ""


def _paused(facts: Facts) -> str:
    names = [one_line(each.queue) for each in facts.queues if each.is_paused and each.ready]
    return _("Jobs wait in paused queues: %(names)s.") % {"names": ", ".join(names[:3])} if names else ""


def _paused_jobs(facts: Facts) -> str:
    names = [*dict.fromkeys(one_line(each.name) for each in facts.pauses)]
    return _("Tasks or tags are paused: %(names)s.") % {"names": ", ".join(names[:3])} if names else ""
