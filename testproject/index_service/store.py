"""The index itself: documents, the words that lead to them, and what each run has brought."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = dict[str, Any]

RUNS_KEPT = 20


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@dataclass
class Run:
    """What the calls that named one run have brought. A document that comes twice counts once."""

    documents: set[int] = field(default_factory=set)
    calls: int = 0
    first_call: float = 0.0  # time.monotonic()
    last_answer: float = 0.0

    def summary(self) -> dict[str, Any]:
        return {
            "documents": len(self.documents),
            "calls": self.calls,
            "seconds": round(self.last_answer - self.first_call, 3),
        }


class Store:
    """Documents in memory, kept in a file from one life of the service to the next."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.documents: dict[int, Document] = {}
        self.runs: dict[str, Run] = {}
        self.calls = 0
        self._words: dict[str, set[int]] = {}
        if file.exists():
            self._load(json.loads(file.read_text()))

    def put(self, documents: Iterable[Document]) -> None:
        """Add documents, or replace those with the same ``id``."""
        for document in documents:
            self._forget(document["id"])
            self.documents[document["id"]] = document
            for word in words_of(document["text"]):
                self._words.setdefault(word, set()).add(document["id"])

    def count_call(self, run: str, ids: Iterable[int], began: float) -> None:
        """Note a call of ``run`` that began at ``began`` (``time.monotonic()``) and is answered now."""
        self.calls += 1
        if not run:
            return
        record = self.runs.setdefault(run, Run(first_call=began))
        record.documents.update(ids)
        record.calls += 1
        record.first_call = min(record.first_call, began)
        record.last_answer = time.monotonic()
        while len(self.runs) > RUNS_KEPT:
            del self.runs[next(iter(self.runs))]

    def search(self, query: str, offset: int, limit: int) -> tuple[int, list[Document]]:
        """Return how many documents have every word of ``query`` (or one that begins with it), and some of them."""
        ids = set(self.documents)
        for word in words_of(query):
            ids &= set().union(*(found for known, found in self._words.items() if known.startswith(word)))
        return len(ids), [self.documents[pk] for pk in sorted(ids)[offset : offset + limit]]

    def save(self) -> None:
        """Write all to the file, or leave the old one as it is."""
        state = {
            "documents": list(self.documents.values()),
            "calls": self.calls,
            "runs": {name: run.summary() | {"documents": sorted(run.documents)} for name, run in self.runs.items()},
        }
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(self.file)

    def _load(self, state: dict[str, Any]) -> None:
        self.put(state["documents"])
        self.calls = state["calls"]
        now = time.monotonic()
        for name, run in state["runs"].items():
            self.runs[name] = Run(set(run["documents"]), run["calls"], now - run["seconds"], now)

    def _forget(self, pk: int) -> None:
        document = self.documents.pop(pk, None)
        if document is not None:
            for word in words_of(document["text"]):
                self._words[word].discard(pk)
