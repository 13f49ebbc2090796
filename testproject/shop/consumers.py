"""What the shop listens to: a supplier's stream of prices. A component, named in LOCO["COMPONENTS"].

python manage.py loco_start --all
echo '{"product": 17, "price": "19.90"}' >> prices.jsonl
"""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from django.db import transaction

from django_loco.component import Loop
from django_loco.tasks import task

from .models import Product
from .tasks import index_product

logger = logging.getLogger(__name__)


@task(max_attempts=5)
def change_price(pk: int, price: str) -> bool:
    """Change one price, and tell the index; return whether there is such a product. Doing it twice does no harm."""
    with transaction.atomic():
        found = Product.objects.filter(pk=pk).update(price=Decimal(price))
        if found:
            index_product.enqueue(pk)
    return bool(found)


class PriceFeed(Loop):
    """Makes a job of each line that is appended to ``prices.jsonl``, and remembers beside it how far it has read."""

    name = "price-feed"
    every = 0.5
    _stream: IO[bytes]

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._bookmark = settings.DATA_DIR / "prices.position"

    def open(self) -> None:
        path = settings.DATA_DIR / "prices.jsonl"
        path.touch()
        position = int(self._bookmark.read_text()) if self._bookmark.exists() else 0
        self._stream = path.open("rb")
        self._stream.seek(position if position <= path.stat().st_size else 0)

    def turn(self) -> None:
        position = self._stream.tell()
        for line in self._stream:
            if not line.endswith(b"\n"):
                break  # the supplier is still writing it
            self._take(line)
            position += len(line)
            self._bookmark.write_text(str(position))
        self._stream.seek(position)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            pk, price = int(message["product"]), str(Decimal(message["price"]))
        except (ValueError, KeyError, TypeError, ArithmeticError):
            logger.warning("No price: %r", line[:80])
            return
        change_price.enqueue(pk, price)
        self.count += 1

    def close(self) -> None:
        if hasattr(self, "_stream"):
            self._stream.close()

    def health(self) -> dict[str, Any]:
        return super().health() | {"prices": self.count}
