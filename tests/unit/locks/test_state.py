"""The rules of a lock, as they are in every store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco.locks.state import MICROS, TOKEN_MEMORY_SECONDS, LockClaim, LockState, state_of

NOW = 1_800_000_000 * MICROS
LEASE, WAITING_LEASE = 30 * MICROS, 10 * MICROS


def claim(owner, *, waits=True):
    return LockClaim(owner=owner, place=f"{owner}:1", job="", lease=LEASE, waits=waits)


def claimed(*owners, state=None, now=NOW):
    state = state or LockState()
    for owner in owners:
        state = state.claimed(claim(owner), now)
    return state


def line(state):
    return [each.owner for each in state.waiting]


def test_the_first_one_gets_it_and_the_others_get_in_line():
    state = claimed("a", "b", "c")
    assert (state.holder.owner, state.holder.until, state.token) == ("a", NOW + LEASE, NOW)
    assert line(state) == ["b", "c"]
    assert state.next_at(NOW) is None


def test_a_claim_that_is_made_again_changes_nothing():
    state = claimed("a", "b")
    assert claimed("a", "b", state=state) is state


def test_a_claim_in_line_has_a_lease_which_it_renews():
    state = claimed("a", "b")
    later = claimed("b", state=state, now=NOW + WAITING_LEASE // 2)
    assert later.waiting[0].until == NOW + WAITING_LEASE // 2 + WAITING_LEASE
    assert later.waiting[0].since == NOW


def test_a_claim_in_line_has_no_longer_lease_than_the_lock():
    short = LockClaim(owner="b", place="b:1", job="", lease=2 * MICROS)
    assert claimed("a").claimed(short, NOW).waiting[0].until == NOW + 2 * MICROS


def test_it_goes_to_the_first_in_line():
    state = claimed("a", "b", "c").left("a")
    assert state.next_at(NOW).owner == "b"
    assert claimed("c", state=state) is state
    state = claimed("b", state=state)
    assert (state.holder.owner, line(state)) == ("b", ["c"])


def test_who_does_not_wait_gets_it_only_if_it_is_free():
    assert LockState().claimed(claim("a", waits=False), NOW).holder.owner == "a"
    state = claimed("a")
    assert state.claimed(claim("b", waits=False), NOW) is state


def test_who_has_died_is_passed_over():
    state = claimed("a", "b", "c")
    state = claimed("c", state=state, now=NOW + WAITING_LEASE // 2)
    state = claimed("c", state=state, now=NOW + WAITING_LEASE)
    assert line(state) == ["c"]
    state = claimed("c", state=state, now=NOW + 2 * WAITING_LEASE - MICROS)
    assert claimed("c", state=state, now=NOW + LEASE - 1).holder.owner == "a"
    assert claimed("c", state=state, now=NOW + LEASE - MICROS).holder.owner == "a"


def test_a_lease_that_has_ended_cannot_be_renewed():
    state = claimed("a")
    assert state.renewed("a", LEASE, NOW + LEASE) is None
    assert state.renewed("b", LEASE, NOW) is None
    assert state.renewed("a", LEASE, NOW + 1).holder.until == NOW + 1 + LEASE


def test_tokens_grow_even_if_the_clock_is_put_back():
    first = claimed("a")
    second = claimed("b", state=first.left("a"), now=NOW - 3600 * MICROS)
    assert second.token == first.token + 1
    assert claimed("c", state=second.left("b"), now=NOW + 5).token == NOW + 5


def test_who_leaves_is_gone_and_no_one_else_is():
    state = claimed("a", "b", "c")
    assert line(state.left("b")) == ["c"]
    assert state.left("d") is state
    assert state.left("a").token == state.token


def test_it_is_remembered_for_a_day_after_the_last_lease():
    assert claimed("a").memory_until(NOW) == NOW + LEASE + TOKEN_MEMORY_SECONDS * MICROS
    assert LockState().memory_until(NOW) == NOW + TOKEN_MEMORY_SECONDS * MICROS


def test_the_text_has_everything():
    for state in (LockState(), claimed("a"), claimed("a", "b", 'Ä"\n'), claimed("a", "b").left("a")):
        assert state_of(state.text()) == state
    assert state_of(None) == LockState()


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", "[1]", '["1", [2]]', '["x", null]', "null"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="is not what django-loco stores of a lock"):
        state_of(text)


OWNERS = "abcd"
STEPS = st.tuples(
    st.sampled_from(("claim", "try", "renew", "leave")),
    st.sampled_from(OWNERS),
    st.integers(-5, 12).map(MICROS.__mul__),
)


@given(st.lists(STEPS, max_size=60))
def test_one_holder_at_a_time_and_tokens_that_grow(steps):
    state, now, tokens = LockState(), NOW, [0]
    for action, owner, seconds in steps:
        now += seconds
        before = state.held_at(now)
        if action in ("claim", "try"):
            state = state.claimed(claim(owner, waits=action == "claim"), now)
        elif action == "renew":
            state = state.renewed(owner, LEASE, now) or state
        else:
            state = state.left(owner)
        after = state.held_at(now)
        if before is not None and action != "leave":
            assert after is not None
            assert after.owner == before.owner
        assert len(set(line(state))) == len(line(state))
        assert state.token >= tokens[-1]
        if state.token != tokens[-1]:
            assert after is not None
            tokens.append(state.token)
        assert state_of(state.text()) == state
