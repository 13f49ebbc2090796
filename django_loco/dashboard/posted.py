"""What the views share that take the forms of pages: who may send a form, the way back, and the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.db.models import Model
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_protect

from .access import View, for_staff
from .frame import sentence
from .links import page_url


def posted(page: str, *permissions: str, words: Collection[str] | None = None) -> Callable[[View], View]:
    """Make a view of a form for those whom ``access.for_staff`` lets in. It is called for a ``POST`` only.

    If the session ends before the form is sent, the login leads to the address of the view without the form, as an
    address that somebody has typed does. Then the page named ``page``, with the same names in its address, says that
    nothing was done.
    """

    def decorator(view: View) -> View:
        @non_atomic_requests
        # Without no-store: a browser that goes back to a question has kept it, and shows an error otherwise.
        @cache_control(private=True, no_cache=True)
        @for_staff(*permissions, words=words)
        @csrf_protect
        @wraps(view)
        def answer(request: HttpRequest, **names: str) -> HttpResponseBase:
            if request.method == "POST":
                return view(request, **names)
            text = _("Nothing was done. If you had to log in first, do it again.")
            messages.warning(request, text, fail_silently=True)
            return HttpResponseRedirect(page_url(page, *names.values()))

        return answer

    return decorator


def not_done(request: HttpRequest, text: str, status: int, *, entry: str, address: str = "") -> HttpResponseBase:
    """Return a page that says why nothing was done, with a link back: see ``back``.

    Without one of the form it leads to ``address``, or to the page of ``entry``.
    """
    return sentence(request, text, entry=entry, status=status, back=back(request, address or page_url(entry)))


def back(request: HttpRequest, otherwise: str | None = None) -> str:
    """Return the address in the form's field ``back`` if it is one of this site; or ``otherwise``, or the overview."""
    address = request.POST.get("back", "")
    is_ours = address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    if is_ours:
        return address
    return reverse("loco_dashboard:overview") if otherwise is None else otherwise


def log(request: HttpRequest, changed: Model, text: str) -> None:
    """Note a change where the admin's own pages note it."""
    if apps.is_installed("django.contrib.admin"):
        entry: Any = apps.get_model("admin", "LogEntry")
        change = 2  # the admin's CHANGE; its module cannot be imported where it is not installed
        entry.objects.log_actions(request.user.pk, [changed], change, text, single_object=True)
