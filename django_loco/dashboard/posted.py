"""Views that take the forms of pages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps

from django.contrib import messages
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_protect

from .access import View, closed
from .links import page_url


def posted(page: str, *permissions: str, words: Collection[str] | None = None) -> Callable[[View], View]:
    """Make a view of a form for those whom ``access.closed`` lets in. It is called for a ``POST`` only.

    If the session ends before the form is sent, the login leads to the address of the view without the form, as an
    address that somebody has typed does. Then the page named ``page``, with the same names in its address, says that
    nothing was done.
    """

    def decorator(view: View) -> View:
        @non_atomic_requests
        # Without no-store: a browser that goes back to a question has kept it, and shows an error otherwise.
        @cache_control(private=True, no_cache=True)
        @closed(*permissions, words=words)
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
