"""The Lua scripts. Each change of state is one script, so it happens completely or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"


class Script:
    """The concatenated text of some files, its hash in Redis, and the keys that it declares."""

    def __init__(self, keys: str, *files: str) -> None:
        """``keys``: names separated by spaces; ``files``: names without folder and suffix."""
        self.keys = tuple(keys.split())
        self.text = "\n".join((FOLDER / f"{name}.lua").read_text("utf-8") for name in ("common", *files))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


ENQUEUE = Script("jobs states index ready tagged deferred once counts series extra", "enqueue")
EXCHANGE = Script(
    "jobs states ready tagged deferred held leases finished failed once counts extra",
    *("ready", "best", "finish", "fetch", "show", "exchange"),
)
RENEW = Script("held leases", "renew")
CLOCK = Script("leases", "clock")
UPDATE = Script("states held extra", "update")
ROWS = Script("jobs states held extra leases", "show", "rows")
FIND = Script("jobs states held extra", "show", "find")
SERIES = Script("jobs states held finished counts series", "show", "series")
OLDEST = Script("ready tagged deferred", "ready", "oldest")
SUSPECTS = Script("ready tagged deferred", "ready", "suspects")
PRUNE = Script("jobs states index finished failed once counts series extra", "prune")
REGISTER = Script("workers", "register")
WORKERS = Script("workers", "workers")
PROBE = Script("probe:hash probe:sorted probe:text", "probe")
#: The commands that scripts use, as ``PROBE`` tries them. Commands that store something have others that delete it.
COMMANDS = (
    *("TIME", "EXISTS *1", "HSET *1 a 1", "HINCRBY *1 a 1", "HGET *1 a", "HMGET *1 a", "HKEYS *1", "HGETALL *1"),
    *(
        "HDEL *1 a",
        "ZADD *2 0 a",
        "ZSCORE *2 a",
        "ZCARD *2",
        "ZCOUNT *2 -inf +inf",
        "ZRANGE *2 0 0",
        "ZRANGEBYLEX *2 - +",
        "ZLEXCOUNT *2 - +",
    ),
    *("ZREVRANGEBYLEX *2 + -", "ZRANGEBYSCORE *2 -inf +inf", "PEXPIRE *2 1000", "ZREM *2 a"),
    *("SET *3 a PX 1000", "GET *3"),
)

#: All keys except channels and answers, which exist for each queue and each worker.
KEYS = sorted({key for script in (ENQUEUE, EXCHANGE, RENEW, ROWS, OLDEST, PRUNE, WORKERS) for key in script.keys})
