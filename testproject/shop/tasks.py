"""What the shop leaves to background jobs."""

from __future__ import annotations

import logging
import time
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Avg
from django.utils import timezone

from django_loco import scheduler
from django_loco.tasks import Interrupted, Workflow, batch, enqueue_many, task

from . import search
from .models import PriceRefresh, Product
from .service import ServiceUnavailable

BATCH = 500
OFFERS = 50
#: The number of these that the supplier is told.
CONFIRMED = 20
#: How long a price of the supplier takes to check.
CHECK_SECONDS = 0.004
#: A line in the log for each so many products.
TOLD = 250

logger = logging.getLogger(__name__)


class OnPurpose(Exception):
    """What the job that fails on purpose raises."""


# Putting a product into the index twice does no harm, so that these may simply be tried again.
@task(queue_name="index", max_attempts=5, retry_on=[ServiceUnavailable], timeout=30)
def index_product(pk: int, run: str = "") -> None:
    """Bring one product into the index: a read, and a call that takes 50 ms."""
    search.put(Product.objects.get(pk=pk), run)
    if pk % TOLD == 0:
        logger.info("product %d is in the index", pk)


@task(queue_name="index", max_attempts=5, retry_on=[ServiceUnavailable], timeout=30)
async def index_product_async(pk: int, run: str = "") -> None:
    """The same on the event loop, where a waiting job costs no thread."""
    await search.aput(await Product.objects.aget(pk=pk), run)
    if pk % TOLD == 0:
        logger.info("product %d is in the index", pk)


@task(queue_name="index", max_attempts=5, retry_on=[ServiceUnavailable], timeout=60)
def index_batch(pks: list[int], run: str = "") -> int:
    """Bring many products into the index in one call; return how many."""
    products = list(Product.objects.filter(pk__in=pks))
    search.put_many(products, run)
    logger.info("%d products are in the index", len(products))
    return len(products)


@scheduler.expose
@task(priority=10, timeout=50, unique=True)
def refresh_prices() -> int:
    """Change some prices, and tell the index once that is committed.

    Runs every minute, see ``schedules.py``, unless it still runs, or somebody has just started it.
    """
    minute = int(timezone.now().timestamp()) // 60
    with transaction.atomic():
        start = minute * OFFERS % Product.objects.count()
        products = list(Product.objects.order_by("pk")[start : start + OFFERS])
        for product in products:
            product.price = Decimal(900 + (product.pk * 137 + minute * 61) % 9000) / 100
        Product.objects.bulk_update(products, ["price"])
        PriceRefresh.objects.create(changed=len(products))
        index_batch.using(queue_name="default").enqueue([product.pk for product in products])
        enqueue_many(confirm_price, [product.pk for product in products[:CONFIRMED]])
    logger.info("%d prices have changed", len(products))
    return len(products)


@task(limits=["supplier"], max_attempts=3, timeout=30)
def confirm_price(pk: int) -> str:
    """Tell the supplier a price. He takes 20 calls a second, and five at a time."""
    price = Product.objects.values_list("price", flat=True).get(pk=pk)
    time.sleep(CHECK_SECONDS)
    return str(price)


@task(takes_context=True, priority=10)
def import_prices(context: Any) -> int:
    """Take over the supplier's price list: a check of 4 ms for each product. A deploy interrupts it, and it goes on."""
    pks = list(Product.objects.order_by("pk").values_list("pk", flat=True))
    for number in range(context.checkpoint_value or 0, len(pks)):
        if context.stopping:
            context.checkpoint(number)
            raise Interrupted
        Product.objects.filter(pk=pks[number]).update(price=Decimal(900 + (pks[number] * 311) % 9000) / 100)
        time.sleep(CHECK_SECONDS)
        context.progress(number + 1, len(pks), "prices")
    with batch("price list", on_finish=tell_of_import, metadata={"prices": len(pks)}) as import_batch:
        parts = [(pks[at : at + BATCH],) for at in range(0, len(pks), BATCH)]
        import_batch.enqueue_many(index_batch.using(queue_name="default"), parts)
    return len(pks)


@task(takes_context=True, priority=10)
def tell_of_import(context: Any) -> str:
    """Say how an import has ended, when all its parts are in the index, or have failed for good."""
    counts, prices = context.batch.counts, context.batch.metadata["prices"]
    text = f"{prices} prices are imported; {counts.succeeded} of {counts.total} parts are in the index"
    logger.info(text)
    return text


@task(priority=10)
def count_products() -> int:
    """Return how many products there are."""
    return Product.objects.count()


@task(priority=10)
def average_price() -> str:
    """Return the average price, as text."""
    return f"{Product.objects.aggregate(Avg('price'))['price__avg'] or 0:.2f}"


@task(takes_context=True, priority=10)
def report(context: Any) -> str:
    """Say what the nodes before this one have found out; what one has not found out is left out."""
    text = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in context.results.items())
    logger.info("in stock: %s", text)
    return text


@scheduler.expose
@task(priority=10)
def take_stock() -> str:
    """Let two questions be answered beside each other, and report the answers."""
    flow = Workflow("stock-taking")
    answers = [flow.add(count_products), flow.add(average_price)]
    flow.add(report, after=answers, on_failed="ignore")
    return flow.enqueue().id


@task(takes_context=True, priority=10, max_attempts=4, backoff=[1, 2, 4])
def fail_on_purpose(context: Any, times: int) -> str:
    """Fail the first ``times`` times. Four attempts are made, 1, 2 and 4 seconds apart."""
    if context.attempt <= times:
        raise OnPurpose(f"attempt {context.attempt} fails")
    return f"done at attempt {context.attempt}"
