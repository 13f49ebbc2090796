"""The Lua scripts. Each change of state is one script, so it happens completely or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"


class Script:
    """The concatenated text of some files, its hash in Redis, and the keys that it declares."""

    def __init__(self, keys: str, *files: str, common: bool = True) -> None:
        """``keys``: names separated by spaces; ``files``: names without folder and suffix.

        ``common``: whether the functions of ``common.lua`` stand before the files. Each call defines them anew.
        """
        self.keys = tuple(keys.split())
        names = ("common", *files) if common else files
        self.text = "\n".join((FOLDER / f"{name}.lua").read_text("utf-8") for name in names)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


#: The scripts by name.
SCRIPTS = {
    "enqueue": Script(
        "jobs states index ready tagged deferred once counts series extra unique batch_states members turns turn",
        *("unique", "job_texts", "members", "enqueue"),
    ),
    "batch": Script("jobs states held batches batch_states open_batches members once edges", "members", "batch"),
    "workflow": Script("jobs states held batches batch_states open_batches members edges", "members", "workflow"),
    "restore": Script(
        "jobs states index ready tagged deferred once counts series extra finished failed logs unique turns turn kept "
        "batch_states members",
        *("unique", "job_texts", "members", "restore"),
    ),
    "enqueue_one": Script("jobs index ready counts", "enqueue_one", "line_up_one", common=False),
    "enqueue_unique": Script("jobs index ready counts extra unique", "enqueue_unique", "line_up_one", common=False),
    "exchange": Script(
        "jobs states ready tagged deferred held leases finished failed once counts extra paused logs unique pauses "
        "turns turn closed limited tats closings changed_limits commands kept closed_at",
        *("unique", "ready", "best_due", "held_back", "limiter", "limited", "finish", "fetch", "show", "exchange"),
    ),
    "change": Script(
        "jobs states extra held index ready tagged deferred finished failed counts series once logs unique turns turn "
        "kept batch_states open_batches members",
        *("unique", "show", "members", "change"),
    ),
    "holders": Script("unique jobs states held extra", "unique", "show", "holders"),
    "entries": Script("", "entries"),
    "renew": Script("held leases", "renew"),
    "clock": Script("leases", "clock"),
    "update": Script("states held extra", "update"),
    "signal": Script("held extra", "signal", common=False),
    "show_jobs": Script("jobs states held extra leases", "show", "show_jobs"),
    "find": Script("jobs states held extra", "show", "find"),
    "show_few": Script("jobs states held extra ready deferred finished kept", "show", "show_few"),
    "series": Script("jobs states held finished counts series", "show", "series"),
    "oldest": Script("ready tagged deferred turns turn", "ready", "oldest"),
    "pause": Script("jobs ready tagged deferred pauses turns turn", "ready", "best_due", "held_back", "pause"),
    "suspects": Script(
        "ready tagged deferred paused turns turn limited tats closings changed_limits closed_at",
        *("ready", "limiter", "suspects"),
    ),
    "limited_waiting": Script("ready tagged deferred paused turns turn", "ready", "limited_waiting"),
    "prune": Script(
        "jobs states index finished failed once counts series extra logs unique batches batch_states open_batches tats "
        "closings kept closed_at",
        *("unique", "members", "prune"),
    ),
    "set_limit": Script("turns turn closed changed_limits", "set_limit"),
    "open_keys": Script("turns turn closed closings closed_at", "open_keys"),
    "limit_use": Script("ready limited tats closings closed_at", "limit_use"),
    "register": Script("workers", "register"),
    "unregister": Script("workers commands", "unregister", common=False),
    "command": Script("workers commands", "command", common=False),
    "workers": Script("workers", "workers"),
    "record": Script("minutes totals totaled", "record"),
    "minutes": Script("minutes", "minutes"),
    "lock": Script("locks", "lock"),
    "probe": Script("probe:hash probe:sorted probe:text", "probe"),
}
#: The commands that scripts use, as ``probe`` tries them. Commands that store something have others that delete it.
COMMANDS = (
    *(
        "TIME",
        "EXISTS *1",
        "HSET *1 a 1",
        "HEXISTS *1 a",
        "HINCRBY *1 a 1",
        "HGET *1 a",
        "HMGET *1 a",
        "HKEYS *1",
        "HGETALL *1",
    ),
    *("HDEL *1 a", "ZADD *2 0 a", "ZSCORE *2 a", "ZCARD *2", "ZCOUNT *2 -inf +inf", "ZRANGE *2 0 0"),
    *("ZRANGEBYLEX *2 - +", "ZLEXCOUNT *2 - +", "ZREVRANGEBYLEX *2 + -", "ZRANGEBYSCORE *2 -inf +inf"),
    *("ZSCAN *2 0", "SMEMBERS *3", "PEXPIRE *2 1000", "PEXPIREAT *2 1"),
    *("ZREM *2 a", "ZREMRANGEBYSCORE *2 1 0", "ZREMRANGEBYLEX *2 (b (a", "SET *3 a PX 1000", "GET *3"),
)

#: All keys of jobs, except channels and answers, which exist for each queue and each worker.
KEYS = sorted({key for name, script in SCRIPTS.items() if name not in ("probe", "lock") for key in script.keys})
