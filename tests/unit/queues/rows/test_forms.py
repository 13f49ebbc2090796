import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco.queues.rows.forms import (
    BEYOND,
    folded,
    needle_of_tag,
    stored_time,
    text_of_tags,
    time_of,
    unfolded,
)


@given(st.lists(st.sampled_from(["w1", "w2", "", "", ""])))
def test_worker_ids_survive_the_round_trip(worker_ids):
    assert unfolded(json.loads(json.dumps(folded(worker_ids)))) == tuple(worker_ids)


def test_worker_ids_that_are_left_out_take_no_room():
    assert folded(["w1", *[""] * 5_000, "w2"]) == ["w1", 5_000, "w2"]


@pytest.mark.parametrize("number", [-1, 0, 10**12])
def test_a_number_of_attempts_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match="attempts"):
        unfolded(["w1", number])


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
def test_times_are_stored_in_utc(zone):
    moment = datetime(2026, 11, 21, 5, 42, tzinfo=UTC)
    assert stored_time(moment.astimezone(zone)) == "2026-11-21 05:42:00.000000"
    assert time_of(stored_time(moment.astimezone(zone))) == moment


@pytest.mark.parametrize(
    "text", ["2026-11-21 05:42", "2026-11-21T05:42:00Z", "2026-11-21 07:42:00.000+02", "2026-11-21 05:42:00.000000"]
)
def test_times_in_other_words_are_read_in_utc(text):
    moment = time_of(text)
    assert (moment, moment.tzinfo) == (datetime(2026, 11, 21, 5, 42, tzinfo=UTC), UTC)


@pytest.mark.parametrize("stored", [BEYOND, stored_time(BEYOND.replace(tzinfo=UTC)), str(BEYOND)])
def test_a_time_beyond_the_calendar_cannot_be_read(stored):
    with pytest.raises(ValueError, match="beyond the calendar"):
        time_of(stored)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2))
def test_stored_times_sort_as_times(moments):
    assert sorted(map(stored_time, moments)) == [stored_time(moment) for moment in sorted(moments)]


tags = st.text(st.sampled_from('ab"\\,[]\n 𝄞\x00'), max_size=4)


@given(st.lists(tags, max_size=4), tags)
def test_a_tag_is_found_if_it_is_there(present, wanted):
    text = text_of_tags(present)
    assert (needle_of_tag(wanted) in text) == (wanted in present)
    assert json.loads(text) == present
