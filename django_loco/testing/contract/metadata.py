"""The contract of ``metadata``: what a job carries beside its arguments, and can change."""

from __future__ import annotations

import json
from dataclasses import replace

from ...core.job import READY, SUCCESSFUL, Outcome
from .case import ContractCase, done, failed, retry
from .enqueueing import NASTY


class MetadataContract(ContractCase):
    """Metadata are stored with a new job, changed by its holder alone, and kept for good."""

    def test_a_job_without_metadata_has_none(self) -> None:
        held = self.held()
        assert held.metadata is None
        assert self.stored(held).metadata is None

    def test_metadata_come_with_the_job_and_stay(self) -> None:
        job = self.enqueue(metadata='{"trace_id":123}')
        assert self.stored(job).metadata == '{"trace_id":123}'
        [held] = self.fetch()
        assert held.metadata == '{"trace_id":123}'
        self.queue.finish([done(held)])
        assert (self.stored(held).status, self.stored(held).metadata) == (SUCCESSFUL, '{"trace_id":123}')

    def test_metadata_are_kept_to_the_letter(self) -> None:
        held = self.held()
        for text in NASTY:
            metadata = json.dumps({text: text})
            assert self.queue.update(held, "metadata", metadata)
            assert self.stored(held) == replace(held, metadata=metadata)
            assert self.queue.list() == [replace(held, metadata=metadata)]

    def test_the_next_attempt_has_what_the_last_one_stored(self) -> None:
        held = self.held(metadata='{"a":1}')
        self.queue.update(held, "metadata", '{"a":2}')
        self.queue.finish([retry(held)])
        [again] = self.fetch()
        assert (again.metadata, again.attempt) == ('{"a":2}', 2)
        self.queue.finish([failed(again)])
        assert self.stored(again).metadata == '{"a":2}'

    def test_metadata_survive_the_death_of_the_worker(self) -> None:
        self.enqueue()
        [dead] = self.fetch(lease=0)
        self.queue.update(dead, "metadata", '{"a":2}')
        [freed] = self.queue.rescue()
        assert (freed.status, freed.metadata) == (READY, '{"a":2}')
        assert not self.queue.update(dead, "metadata", '{"a":3}')
        [held] = self.fetch()
        assert not self.queue.update(dead, "metadata", '{"a":3}')
        assert held.metadata == self.stored(held).metadata == '{"a":2}'

    def test_only_the_holder_changes_metadata(self) -> None:
        held = self.held()
        assert not self.queue.update(replace(held, token="another"), "metadata", '{"a":1}')
        self.queue.finish([Outcome.released(held)])
        assert not self.queue.update(held, "metadata", '{"a":1}')
        assert self.stored(held).metadata is None

    def test_checkpoint_and_metadata_do_not_touch_each_other(self) -> None:
        held = self.held(metadata='{"a":1}')
        assert self.queue.update(held, "checkpoint", "1")
        assert self.queue.update(replace(held, checkpoint="1"), "metadata", '{"a":2}')
        assert self.stored(held) == replace(held, checkpoint="1", metadata='{"a":2}')
        assert self.queue.update(replace(held, metadata='{"a":2}'), "checkpoint", "2")
        assert self.stored(held) == replace(held, checkpoint="2", metadata='{"a":2}')

    def test_metadata_are_pruned_with_the_job(self) -> None:
        held = self.held(metadata='{"a":1}')
        self.queue.finish([done(held)])
        assert self.queue.prune(-60) == 1
        assert self.queue.get(held.id) is None
