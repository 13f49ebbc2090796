"""The change mark: a text that changes with each change of a store. Computing it takes one small read for each store.

While the mark is the same as in a page's last answer, there is nothing new to read. The mark also changes every
``SLOT_SECONDS``, because some things change with time alone: a job has waited too long, a worker is silent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from django.db import router
from django.utils.crypto import salted_hmac

from ...jobs.stores import aliases, queue_of
from ...log.safe import get_logger
from ...models import Schedule
from ...queues.database.examiner import change_token_of

logger = get_logger("django_loco.dashboard")

SALT = "django_loco.dashboard.live"
SLOT_SECONDS = 10.0
#: The mark while a store does not answer.
AWAY = "away"


def change_mark() -> str:
    """Return the mark; empty if a store cannot tell whether it has changed, ``AWAY`` if a store does not answer.

    The mark is a keyed digest, so that it does not reveal how busy a store is.
    """
    try:
        tokens = [*_tokens()]
    except Exception:  # a store of the project may raise anything
        logger.debug("A store does not say whether it has changed", exc_info=True)
        return AWAY
    if None in tokens:
        return ""
    text = json.dumps([int(time.time() / SLOT_SECONDS), tokens])
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()[:24]


def _tokens() -> Iterator[str | None]:
    """Yield a token for each store, and for each database once. If the schedules' database has none, it is empty."""
    databases: set[str | None] = set()
    for alias in aliases():
        queue = queue_of(alias)
        if queue.database is None or queue.database not in databases:
            databases.add(queue.database)
            yield queue.examiner(queue).change_token()
    site = router.db_for_read(Schedule)
    if site not in databases:
        yield change_token_of(site) or ""
