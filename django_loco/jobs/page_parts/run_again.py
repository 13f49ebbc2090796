"""The form with which a job is run again with other arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...core.compat import TaskResult
from ...core.job import Job
from ...core.serialization import decode_call
from ...log.redaction import MARK
from ...queues.rows.unreadable import NOT_OURS
from ..stores import backend_of
from .operate import REFUSED
from .scope import Scope
from .stored_json import arguments_of, editable, in_one_line

#: The bytes of arguments that are edited on a page.
MOST_BYTES = 1_000_000
#: The bytes of the token against forged requests in a form, with its name.
TOKEN_BYTES = 100
TOO_LONG = gettext_lazy("The arguments are too long to be edited here. Use jobs.run_again().")
#: The fields of the new job that follow from its arguments. The others are the same as in the old job, or empty.
OF_ARGUMENTS = ("arguments", "unique_key", "unique_until", "limit_key")


def texts_of(job: Job, result: TaskResult[..., Any]) -> tuple[str, str]:
    """Return the texts for the page and for the log when ``run_again`` of ``job`` has returned ``result``."""
    if getattr(result, "duplicate", False):
        text = _("Job %(job)s does not run again: this job has its unique key.")
        return text % {"job": job.id}, f"Not run again: job {result.id} has its unique key."
    text = _("Job %(job)s runs again: this is the new job.")
    return text % {"job": job.id}, f"Run again, as job {result.id}."


class JsonField(forms.CharField):
    """JSON of one type, written as text."""

    def __init__(self, kind: type[Any], requirement: Promise, **options: Any) -> None:
        """``requirement`` says what it has to be, with an example."""
        super().__init__(
            strip=True,
            required=False,
            widget=forms.Textarea({"rows": 6, "class": "vLargeTextField loco-json", "spellcheck": "false"}),
            **options,
        )
        self._kind, self._requirement = kind, requirement

    def to_python(self, value: Any) -> Any:
        """Return the parsed text; an empty value if there is none. Raises ``ValidationError``."""
        text = super().to_python(value)
        try:
            found = json.loads(text) if text else self._kind()
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("It cannot be read: %(error)s"), params={"error": error}) from error
        if not isinstance(found, self._kind):
            raise ValidationError(str(self._requirement))
        return found


class RunAgainForm(forms.Form):
    """The arguments of a new job like ``job``. Arguments that are hidden stay as they are stored.

    It ``is_too_long`` if it could not be sent as it is shown. A user who sees only the jobs of ``scope`` cannot make a
    job outside of the scope from one of these.
    """

    args = JsonField(
        list, gettext_lazy("It has to be a JSON list, such as [1, 2]."), label=gettext_lazy("Arguments by place")
    )
    kwargs = JsonField(
        dict,
        gettext_lazy('It has to be a JSON object, such as {"user_id": 7}.'),
        label=gettext_lazy("Arguments by name"),
    )

    def __init__(self, job: Job, scope: Scope, data: Any = None) -> None:
        self._shown = arguments_of(job)
        self._job, self._scope = job, scope
        args, kwargs = self._shown
        texts = None if data is not None or len(job.arguments) > MOST_BYTES else _texts(args, kwargs)
        super().__init__(data, initial=texts)
        self.has_hidden = MARK in f"{args}{kwargs}"
        self.is_too_long = not self.is_bound and texts is None

    def clean(self) -> dict[str, Any]:
        """Put the stored values in place of values that are still marked as hidden. Raises ``ValidationError``."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            stored = dict(zip(("args", "kwargs"), decode_call(self._job.arguments), strict=True))
        except NOT_OURS:
            return given
        shown = dict(zip(("args", "kwargs"), self._shown, strict=True))
        made = {name: restored(value, shown[name], stored[name]) for name, value in given.items()}
        if self._scope.is_narrowed and not self.errors:
            self._require_seen(made["args"], made["kwargs"])
        return made

    def _require_seen(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Raise ``ValidationError`` unless the user would see the new job, with the keys that its arguments make."""
        try:
            new = backend_of(self._job.backend).job_like(self._job, args, kwargs)
        except REFUSED as error:
            raise ValidationError("%(error)s", params={"error": error}) from error
        if not self._scope.sees(replace(self._job, **{name: getattr(new, name) for name in OF_ARGUMENTS})):
            raise ValidationError(_("You may not run a job with these arguments: you would not see it."))


def restored(given: Any, shown: Any, stored: Any) -> Any:
    """Return ``given`` with the values of ``stored`` where ``given`` and ``shown`` both have the mark."""
    if given == MARK and shown == MARK:
        return stored
    if isinstance(given, dict) and isinstance(shown, dict) and isinstance(stored, dict):
        common = shown.keys() & stored.keys()
        return {
            key: restored(value, shown[key], stored[key]) if key in common else value for key, value in given.items()
        }
    if isinstance(given, list) and isinstance(shown, list) and isinstance(stored, list):
        pairs = list(zip(shown, stored, strict=False))
        return [restored(each, *pairs[place]) if place < len(pairs) else each for place, each in enumerate(given)]
    return given


def _texts(args: list[Any], kwargs: dict[str, Any]) -> dict[str, str] | None:
    """Return the values of the fields, in one line each if they are long; ``None`` if they are too long for a form."""
    for text_of in (editable, in_one_line):
        texts = {"args": _text(args, text_of), "kwargs": _text(kwargs, text_of)}
        if _can_be_sent(texts):
            return texts
    return None


def _can_be_sent(texts: Mapping[str, str]) -> bool:
    """Return whether Django accepts a form with these values, in which browsers change the ends of lines."""
    most: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    sent = {name: text.replace("\n", "\r\n") for name, text in texts.items()}
    return most is None or len(urlencode(sent)) + TOKEN_BYTES <= most


def _text(value: Any, text_of: Callable[[Any], str]) -> str:
    try:
        return text_of(value)
    except RecursionError:
        return ""
