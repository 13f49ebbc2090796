"""What all views for forms share: who may send a form, the way back, and the admin's log."""

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
    """Make a view for a form, with the access rules of ``access.for_staff``. The view is called only for a ``POST``.

    If the session ends before the form is sent, the login leads to the view's address without the form. The same
    happens if somebody types the address. Then the page named ``page``, with the same names in its address, says that
    nothing was done.
    """

    def decorator(view: View) -> View:
        @non_atomic_requests
        # Without no-store, so that a browser can keep a question and go back to it. Otherwise it would show an error.
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

    If the form names no address, the link leads to ``address``, or to the page of ``entry``.
    """
    return sentence(request, text, entry=entry, status=status, back=back(request, address or page_url(entry)))


def back(request: HttpRequest, otherwise: str | None = None) -> str:
    """Return the address in the form's field ``back`` if it is on this site; else ``otherwise``, or the overview."""
    address = request.POST.get("back", "")
    is_ours = address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    if is_ours:
        return address
    return reverse("loco_dashboard:overview") if otherwise is None else otherwise


def log(request: HttpRequest, changed: Model, text: str) -> None:
    """Add a change to the log that the admin's own pages use."""
    if apps.is_installed("django.contrib.admin"):
        entry: Any = apps.get_model("admin", "LogEntry")
        change = 2  # the admin's CHANGE; its module cannot be imported if the admin is not installed
        entry.objects.log_actions(request.user.pk, [changed], change, text, single_object=True)
