"""The texts of operations and states on pages, in the language of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext_lazy

from ..presentation.numbers import number_text
from ..search import Count
from ..states import State

#: Each state in a word.
STATE_TEXTS: Mapping[State, Promise] = {
    "waiting": _("waiting"),
    "scheduled": _("scheduled"),
    "retrying": _("retrying"),
    "running": _("running"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
    "done": _("done"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The sentences about an operation with jobs. Each is whole, so that every language can order its words."""

    label: Promise
    """The text of its button."""

    title: Promise
    """The title of the page that asks."""

    yes: Promise
    """The text of the button that confirms it."""

    text: Promise
    """Its effect."""

    question: Any
    """Asks whether to do it with ``count`` jobs."""

    result: Any
    """Says that it was done with ``count`` jobs."""

    refusal: Promise
    """Says that it can be done with none of the jobs, and which ``states`` it takes."""

    def asked(self, count: Count) -> str:
        """Return the question for ``count`` jobs."""
        return str(self.question % {"number": count, "count": count.text})

    def done(self, count: Count) -> str:
        """Return the sentence that says what was done with ``count`` jobs."""
        return str(self.result % {"number": count, "count": number_text(count)})


PHRASES: Mapping[str, Phrases] = {
    "retry": Phrases(
        label=_("Retry"),
        title=_("Retry jobs"),
        yes=_("Yes, retry"),
        text=_("They are due now, and each runs once more. Their errors so far stay."),
        question=ngettext_lazy("Retry %(count)s job?", "Retry %(count)s jobs?", "number"),
        result=ngettext_lazy("%(count)s job was retried.", "%(count)s jobs were retried.", "number"),
        refusal=_("None of these jobs can be retried: that takes jobs that are %(states)s."),
    ),
    "run_now": Phrases(
        label=_("Run now"),
        title=_("Run jobs now"),
        yes=_("Yes, run now"),
        text=_("They are due now and not at a later time. Attempts and errors so far stay."),
        question=ngettext_lazy("Run %(count)s job now?", "Run %(count)s jobs now?", "number"),
        result=ngettext_lazy("%(count)s job was made due.", "%(count)s jobs were made due.", "number"),
        refusal=_("None of these jobs can be run now: that takes jobs that are %(states)s, until a time."),
    ),
    "cancel": Phrases(
        label=pgettext_lazy("operation with jobs", "Cancel"),
        title=_("Cancel jobs"),
        yes=_("Yes, cancel"),
        text=_("Jobs that wait never run. Running jobs are interrupted, and their results are discarded."),
        question=ngettext_lazy("Cancel %(count)s job?", "Cancel %(count)s jobs?", "number"),
        result=ngettext_lazy("%(count)s job was cancelled.", "%(count)s jobs were cancelled.", "number"),
        refusal=_("None of these jobs can be cancelled: that takes jobs that are %(states)s."),
    ),
    "discard": Phrases(
        label=_("Discard"),
        title=_("Discard jobs"),
        yes=_("Yes, discard"),
        text=_("They are given up: jobs that wait never run, and failed jobs count as cancelled."),
        question=ngettext_lazy("Discard %(count)s job?", "Discard %(count)s jobs?", "number"),
        result=ngettext_lazy("%(count)s job was discarded.", "%(count)s jobs were discarded.", "number"),
        refusal=_("None of these jobs can be discarded: that takes jobs that are %(states)s."),
    ),
    "move": Phrases(
        label=_("Move"),
        title=_("Move jobs"),
        yes=_("Yes, move"),
        text=_("They wait in another queue of their alias from then on."),
        question=ngettext_lazy("Move %(count)s job?", "Move %(count)s jobs?", "number"),
        result=ngettext_lazy("%(count)s job was moved.", "%(count)s jobs were moved.", "number"),
        refusal=_("None of these jobs can be moved: that takes jobs that are %(states)s."),
    ),
    "delete": Phrases(
        label=_("Delete"),
        title=_("Delete jobs"),
        yes=_("Yes, delete"),
        text=_("They are gone, with their arguments, errors and results."),
        question=ngettext_lazy("Delete %(count)s job?", "Delete %(count)s jobs?", "number"),
        result=ngettext_lazy("%(count)s job was deleted.", "%(count)s jobs were deleted.", "number"),
        refusal=_("None of these jobs can be deleted: that takes jobs that are %(states)s."),
    ),
}
