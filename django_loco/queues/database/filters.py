"""Which jobs a worker wants, in the SQL of the database queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...core.job import SUSPECT
from ..base import Claim
from ..rows import needle_of_tag, word_of_tag
from .lines import READY_BY_QUEUE, READY_BY_QUEUE_AND_TAG, READY_BY_TAG, fragments


def condition_of(claim: Claim, names: Mapping[str, str], contains: str) -> tuple[str, dict[str, str]]:
    """Return the condition for a row of the job table, and its parameters.

    ``names`` are those of ``Dialect``, ``contains`` is its function that finds a text in another one.
    """
    queues = _numbered("queue", claim.queues or ())
    tags = {name: needle_of_tag(tag) for name, tag in _numbered("tag", claim.tags or ()).items()}
    conditions = []
    if claim.queues is not None:
        listed = ", ".join(f"%({name})s" for name in queues)
        conditions.append(f"{names['queue_name']} IN ({listed})" if queues else "FALSE")
    if claim.tags:
        found = (f"{contains}({names['tags']}, %({name})s) > 0" for name in tags)
        conditions.append(f"({' OR '.join(found)})")
    elif claim.tags is not None:
        # An expression: SQLite would put the value of a column in its place in other conditions, which would then no
        # longer be those of an index.
        conditions.append(f"{names['tags']} || '' = '[]'")
    if claim.suspects is False:
        conditions.append(f"{names['lost']} < {SUSPECT}")
    return "".join(f" AND {condition}" for condition in conditions), queues | tags


def line_fragments_of(claim: Claim, tag_of_word: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fragments for ``lines``, and their parameters beside those of ``condition_of``.

    ``tag_of_word`` is that of ``Dialect``.
    """
    words = {name: word_of_tag(tag) for name, tag in _numbered("mark", claim.tags or ()).items()}
    queues = None if claim.queues is None else [f"%({name})s" for name in _numbered("queue", claim.queues)]
    if claim.tags:
        source = READY_BY_TAG if queues is None else READY_BY_QUEUE_AND_TAG
        marks = [tag_of_word.format(name) for name in words]
    else:
        source, marks = READY_BY_QUEUE, ["0", "1"] if claim.tags is None else ["0"]
    kinds = [name for name, room in (("FALSE", claim.threads), ("TRUE", claim.coroutines)) if room > 0]
    return fragments(source, marks, kinds=kinds, queues=queues), words


def _numbered(prefix: str, values: Iterable[str]) -> dict[str, str]:
    return {f"{prefix}_{number}": value for number, value in enumerate(dict.fromkeys(values))}
