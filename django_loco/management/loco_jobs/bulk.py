"""Changes all jobs that match a filter, for ``loco_jobs``: counts the jobs, asks, and reports the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from getpass import getuser
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from ... import jobs
from ...core.job import utcnow
from ...core.validation import is_name
from ...exceptions import FilterError
from ...jobs.language.words import WORDS
from ...jobs.operations.once_keys import keeps_key, some_keep_keys
from ...jobs.presentation.known_names import unknown_names
from ...jobs.presentation.numbers import number_text
from .ids import ids_of
from .terminal import jobs_in_words, may

#: The verbs that change all matching jobs: their names and their help.
BULK = {
    "retry": "Run failed and cancelled jobs again.",
    "cancel": "Cancel jobs that wait or run. They fail with JobCancelled, and are not retried.",
    "discard": "Give up jobs that wait or have failed. They count as cancelled.",
    "delete": "Delete jobs that do not run.",
    "purge": "Delete finished jobs.",
    "move": "Move jobs to another queue, or to another store.",
    "update": "Change jobs that wait, or have failed.",
}
#: A description of the jobs that ``update --run-after`` skips if it changes several.
WAITING_FOR_MORE = (
    "waiting for a signal, for the end of a sleep, or for other jobs. To update one of them, give its id alone"
)
#: A description of the jobs that ``delete`` and ``purge`` skip if they delete several.
KEY_KEPT = (
    "with a once-key, such as a schedule's: the queue still has to know it, for LOCO['RESULT_TTL'] after the job's end"
)
#: The states of the jobs that ``purge`` deletes.
FINISHED: Sequence[jobs.State] = ("done", "failed", "cancelled")


class BulkOperation:
    """One operation on the jobs with the given ids, or on the jobs that match a filter."""

    def __init__(self, verb: str, options: Mapping[str, Any], stdout: OutputWrapper) -> None:
        """``options`` are the command's. Raises ``CommandError`` for options that do not fit together."""
        require_chosen(verb, options)
        self._verb, self._stdout = verb, stdout
        self._options = options
        self._states = FINISHED if verb == "purge" else tuple(jobs.OPERATIONS[verb])
        self._do = _operation(verb, options)
        self._ids = ids_of(options["filter"], options["backend"])

    def run(self) -> None:
        """Do it; ask first if it concerns several jobs. Raises the errors of ``jobs``."""
        for job_id in self._ids:
            job = jobs.get(job_id, backend=self._options["backend"])
            if len(self._ids) == 1 and self._verb != "purge" and not self._options["dry_run"]:
                self._say(self._do(job))  # raises an error if it is not possible
                return
        self._run_over(searched(self._options).filter(status=self._states))

    def _run_over(self, found: jobs.Search) -> None:
        count = found.count()
        if self._options["dry_run"]:
            self._say_what_it_would_take(found, count)
        elif count == 0:
            taken = ", ".join(self._states)
            self._stdout.write(f"No such job can be taken by {self._verb}, which takes jobs that are {taken}.")
            for hint in unknown_names(found.condition):
                self._stdout.write(hint)
        elif count == 1 or may(self._stdout, self._title, jobs_in_words(count, count.text), yes=self._options["yes"]):
            self._say(self._do(found))

    def _say_what_it_would_take(self, found: jobs.Search, count: jobs.Count) -> None:
        kept = self._keys_kept(found)
        number = jobs_in_words(count, count.text) if count.is_capped else jobs_in_words(count - kept)
        self._stdout.write(f"{self._title} would take {number}. Nothing was changed.")
        if kept:
            text = f"{number_text(kept)}{'+' * count.is_capped}"
            self._stdout.write(f"It would leave alone {jobs_in_words(kept, text)} {KEY_KEPT}.")
        if self._options.get("run_after") is not None:
            self._stdout.write(f"It would leave alone jobs {WAITING_FOR_MORE}.")

    def _keys_kept(self, found: jobs.Search) -> int:
        """Return how many of the newest jobs cannot be deleted yet: of as many as are counted."""
        if self._verb not in ("delete", "purge") or not some_keep_keys():
            return 0
        now = utcnow()
        return sum(keeps_key(job, now) for job in found[: jobs.COUNTED])

    @property
    def _title(self) -> str:
        return self._verb.capitalize()

    def _say(self, number: int) -> None:
        self._stdout.write(f"{_PAST[self._verb]} {jobs_in_words(number)}.")
        if left_alone := getattr(number, "left_alone", 0):
            self._stdout.write(f"Left alone: {jobs_in_words(left_alone)} {WAITING_FOR_MORE}.")
        if kept := getattr(number, "keys_kept", 0):
            self._stdout.write(f"Left alone: {jobs_in_words(kept)} {KEY_KEPT}.")


def require_chosen(verb: str, options: Mapping[str, Any]) -> None:
    """Raise ``CommandError`` unless ``options`` name jobs, or explicitly say that all jobs are meant.

    Empty words name no jobs: they come from a shell variable that is not set, and would match all jobs.
    """
    if options["filter"] and options["all"]:
        raise CommandError("Give a filter or --all, not both.")
    if options["filter"] == ["all"]:
        raise CommandError(f"For all jobs, write: loco_jobs {verb} --all")
    if not (options["all"] or any(word.strip() for word in options["filter"])):
        raise CommandError(f"loco_jobs {verb} needs ids or a filter. For all jobs, give --all.")


def searched(options: Mapping[str, Any]) -> jobs.Search:
    """Return the search for the ids or the filter of ``options``. Raises ``FilterError``."""
    words: Sequence[str] = options["filter"]
    if ids := ids_of(words, options["backend"]):
        return jobs.filter(id=ids, backend=options["backend"])
    try:
        return jobs.filter(" ".join(words).strip(), backend=options["backend"])
    except FilterError as error:
        if hint := next(filter(None, map(_instead_of, words)), ""):
            raise CommandError(f"{error}. {hint}") from error
        raise


def _instead_of(word: str) -> str:
    """Return a sentence that says how to write a word of a filter that has no colon; empty if it has one."""
    name, equals, value = word.partition("=")
    if ":" in word or not is_name(word):
        return ""
    if equals and value and name.lstrip("-").partition(".")[0] in WORDS:
        return f"Write {name}:{value}"
    if word in jobs.STATES:
        return f"For the jobs in this state, write status:{word}"
    return f"For the jobs of a queue, write queue:{word}"


_PAST = {verb: f"{verb.capitalize()}{'d' if verb.endswith('e') else 'ed'}" for verb in BULK} | {
    "retry": "Retried",
    "cancel": "Cancelled",
}


def _operation(verb: str, options: Mapping[str, Any]) -> Callable[[Any], int]:
    """Return the function of ``jobs`` that does ``verb``. Raises ``ValueError``."""
    by = by_user()
    match verb:
        case "retry":
            return jobs.retry
        case "cancel":
            return lambda which: jobs.cancel(which, by=by)
        case "discard":
            return lambda which: jobs.discard(which, by=by)
        case "move":
            return lambda which: jobs.move(which, queue=options["queue"])
        case "update":
            changes = {name: options[name] for name in ("priority", "run_after", "expires")}
            changes |= {"args": options["new_args"], "kwargs": options["new_kwargs"]}
            if options["tags"] is not None:
                changes["tags"] = [tag for tag in options["tags"].split(",") if tag]
            if all(value is None for value in changes.values()):
                raise CommandError(
                    "Give at least one of --priority, --run-after, --expires, --args, --kwargs and --tags."
                )
            return lambda which: jobs.update(which, **changes)
    return jobs.delete


def by_user() -> str:
    """Return the name of the user, for the errors of cancelled jobs."""
    try:
        return f"{getuser()} with loco_jobs"
    except (KeyError, OSError, ImportError):  # in a container the user may have no name
        return "somebody with loco_jobs"
