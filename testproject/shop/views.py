from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from django_loco.core.compat import TaskResult
from django_loco.exceptions import QueueError
from django_loco.tasks import TaskResultDoesNotExist

from . import progress, search, tasks
from . import reindex as reindexing
from .models import Product, Reindex, Trial
from .service import ServiceUnavailable
from .tasks import fail_on_purpose

PER_PAGE = 24
#: The key of the session with the id of the last import.
IMPORT = "import"


@require_GET
@never_cache
def catalogue(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    products, page, source = _look_up(query, request.GET.get("page", "1"))
    return render(
        request,
        "shop/catalogue.html",
        {
            "query": query,
            "products": products,
            "page": page,
            "pages": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
            "total": f"{page.paginator.count:,} {'product' if page.paginator.count == 1 else 'products'}",
            "source": source,
            "setup": progress.setup(),
            "live": progress.snapshot(),
            "price_import": _last_import(request),
        },
    )


def _look_up(query: str, number: str) -> tuple[list[dict[str, Any]], Page[int], str]:
    """Return a page of products from the index; from the database while the index is empty or away."""
    offset = (int(number) - 1) * PER_PAGE if number.isdecimal() and number != "0" else 0
    try:
        total, products = search.search(query, offset=offset, limit=PER_PAGE)
    except ServiceUnavailable:
        return *_from_database(number), "unavailable"
    if not total and not query:
        return *_from_database(number), "empty"
    page = Paginator(range(total), PER_PAGE).get_page(number)
    if total and not products:  # a page beyond the last one
        _, products = search.search(query, offset=page.start_index() - 1, limit=PER_PAGE)
    return products, page, "index"


def _from_database(number: str) -> tuple[list[dict[str, Any]], Page[int]]:
    pks = Product.objects.order_by("pk").values_list("pk", flat=True)
    page = Paginator(pks, PER_PAGE).get_page(number)
    return [product.document() for product in Product.objects.filter(pk__in=list(page)).order_by("pk")], page


@require_POST
def reindex(request: HttpRequest) -> HttpResponse:
    kind = request.POST.get("kind", "")
    if kind not in Reindex.Kind:
        messages.error(request, "There is no such way to re-index.")
        return redirect("shop:catalogue")
    try:
        reindexing.start(kind)
    except reindexing.StillRunning:
        messages.warning(request, "The last re-index is still at work; let it finish first.")
    except QueueError as error:
        messages.error(request, f"Nothing was enqueued. {error}")
    return redirect("shop:catalogue")


@require_POST
def import_prices(request: HttpRequest) -> HttpResponse:
    try:
        request.session[IMPORT] = tasks.import_prices.enqueue().id
    except QueueError as error:
        messages.error(request, f"Nothing was enqueued. {error}")
    return redirect("shop:catalogue")


def _last_import(request: HttpRequest) -> TaskResult[..., Any] | None:
    """Return the result of the last import of this visitor."""
    try:
        return tasks.import_prices.get_result(request.session[IMPORT])
    except (KeyError, TaskResultDoesNotExist, QueueError):
        return None


@require_POST
def fail(request: HttpRequest) -> HttpResponse:
    times = 4 if request.POST.get("until") == "end" else 2
    try:
        Trial.objects.create(result_id=fail_on_purpose.enqueue(times).id)
    except QueueError as error:
        messages.error(request, f"Nothing was enqueued. {error}")
    return redirect("shop:catalogue")


@require_GET
@never_cache
def live(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - every view takes one
    return JsonResponse(progress.snapshot())
