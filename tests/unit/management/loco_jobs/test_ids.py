"""Jobs on the command line, by an id. Those by the end of one are in tests/integration/jobs/test_loco_jobs.py."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError

from django_loco.management.loco_jobs.ids import id_of, ids_of


def test_words_are_ids_only_together():
    one = "01a220e4884f7d2ba19ca3780b5165c2"
    assert ids_of([one, "01A220E4-884F-7D2B-A19C-A3780B5165C2"]) == [one, one]
    assert ids_of([one, "status:failed"]) == []
    assert ids_of([]) == []


@pytest.mark.parametrize("word", ["seven", "#50e7", "50e7a0e", "", "task:50e7a0e5"])
def test_what_is_no_id_is_refused(word):
    with pytest.raises(CommandError, match=f"{word!r} is not the id of a job: 32 hexadecimal digits, or the last 8"):
        id_of(word)
