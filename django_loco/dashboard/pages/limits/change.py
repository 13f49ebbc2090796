"""Changes a limit while workers run, for the forms of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from .... import jobs
from ....jobs.control.limits import limits_in
from ....jobs.page_parts.available import UNAVAILABLE
from ....jobs.page_parts.scope import BY_ALIAS, scope_of
from ....jobs.stores import queue_of
from ....log.plain_text import one_line
from ....models import LocoWorker
from ....queues.timeouts import store_timeout
from ...access import CHANGE_LIMIT, VIEW_JOB, refused
from ...links import page_url
from ...live import STORE_SECONDS
from ...posted import log, not_done, posted
from .facts import forget
from .parts import changes_text, fields_of, values_text

#: The most digits of a number. A longer text is refused without being parsed.
DIGITS = 9


@posted("limits", VIEW_JOB, CHANGE_LIMIT, words=BY_ALIAS)
def change_limit(request: HttpRequest) -> HttpResponseBase:
    """Change a limit or reset it to its declaration. The field ``change`` or ``reset`` is JSON: its alias and name."""
    button = "change" if "change" in request.POST else "reset"
    try:
        value = request.POST.get(button, "")
        alias, name = _named(value)
        if not scope_of(request).sees_alias(alias):
            return refused(_("You do not see all of these jobs."))
        with store_timeout(STORE_SECONDS):
            if button == "change":
                note = _change(alias, name, given_in(request.POST, value), request.POST.get(f"shown {value}", ""))
            else:
                note = _reset(alias, name)
    except jobs.InvalidState as error:
        forget()
        return not_done(request, str(error), HTTPStatus.CONFLICT, entry="limits")
    except (ValueError, TypeError, RecursionError) as error:  # RecursionError: JSON is nested too deeply
        return not_done(request, str(error), HTTPStatus.BAD_REQUEST, entry="limits")
    except UNAVAILABLE as error:
        return not_done(request, str(error), HTTPStatus.SERVICE_UNAVAILABLE, entry="limits")
    forget()
    log(request, LocoWorker(id=f"{alias}: limit {name}"), note)
    messages.success(request, f"{one_line(name)}: {note}", fail_silently=True)
    return HttpResponseRedirect(page_url("limits"))


def given_in(form: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Return the values in a form for the limit that ``value`` names; ``None`` for an empty field."""
    texts = {each: str(form.get(field, "")).strip() for each, field in fields_of(value).items()}
    return {each: _number(text) if each != "rate" else text or None for each, text in texts.items()}


def _number(text: str) -> int | str | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else text or None


def _named(value: str) -> tuple[str, str]:
    """Return the alias and the name of a limit. Raises ``ValueError``."""
    named = json.loads(value) if value else None
    if not isinstance(named, list) or len(named) != len(("alias", "name")) or named[0] not in jobs.aliases():
        raise ValueError(_("Name a limit by its alias and its name. Nothing was changed."))
    alias, name = map(str, named)
    return alias, name


def _change(alias: str, name: str, given: dict[str, Any], shown: str) -> str:
    """Change a limit. Raises ``InvalidState`` if it is no longer as the page has ``shown`` it (empty: not checked)."""
    limit = limits_in(queue_of(alias)).get(name)
    if limit is not None and shown not in ("", present := values_text(limit)):
        text = _("Somebody has changed this limit in the meantime: %(limit)s. Nothing was changed.")
        raise jobs.InvalidState(text % {"limit": present})
    if limit is not None and given["rate"] is None and given["burst"] == limit.burst:
        del given["burst"]  # the page had only filled it in
    jobs.set_limit(name, **given, backend=alias)
    return f"Changed to {changes_text(given)}."


def _reset(alias: str, name: str) -> str:
    jobs.reset_limit(name, backend=alias)
    return "Reset to what LOCO['LIMITS'] declares."
