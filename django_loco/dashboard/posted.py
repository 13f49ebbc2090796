"""Views that take the forms of pages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps

from django.contrib import messages
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from .access import View, closed
from .links import page_url


def posted(page: str, *permissions: str, words: Collection[str] | None = None) -> Callable[[View], View]:
    """Make a view of a form for those whom ``access.closed`` lets in. It is called for a ``POST`` only.

    If the session ends before the form is sent, the login leads to the address of the view without the form. Then the
    page named ``page``, with the same names in its address, says that nothing was done.
    """

    def decorator(view: View) -> View:
        @non_atomic_requests
        @never_cache
        @closed(*permissions, words=words)
        @csrf_protect
        @wraps(view)
        def answer(request: HttpRequest, **names: str) -> HttpResponseBase:
            if request.method == "POST":
                return view(request, **names)
            text = _("You had to log in first, so nothing was done. Do it again.")
            messages.warning(request, text, fail_silently=True)
            return HttpResponseRedirect(page_url(page, *names.values()))

        return answer

    return decorator
