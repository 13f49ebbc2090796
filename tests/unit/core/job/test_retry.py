import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_loco.core.job.retry import MAX_DELAY_SECONDS, Policy, exponential


def linear(exception, result):
    return len(str(exception)) + result


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_default_back_off_doubles_up_to_an_hour_give_or_take_a_quarter(attempt, luck):
    plain = min(MAX_DELAY_SECONDS, 2.0 ** min(attempt, 32))
    assert 0.75 * plain <= exponential(attempt, lambda: luck) <= 1.25 * plain


def test_jobs_that_failed_together_do_not_come_back_together():
    assert [exponential(3, lambda luck=luck: luck) for luck in (0.0, 0.5, 1.0)] == [6.0, 8.0, 10.0]


def test_a_job_is_tried_max_attempts_times():
    policy = Policy(max_attempts=3)
    assert [policy.wants_retry(ValueError(), attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]


def test_one_attempt_is_the_default():
    assert not Policy().wants_retry(ValueError(), 1)


def test_only_the_named_exceptions_are_tried_again():
    policy = Policy(max_attempts=9, retry_on=(OSError,))
    assert policy.wants_retry(ConnectionError(), 1)
    assert not policy.wants_retry(ValueError(), 1)


def test_no_retry_on_is_stronger_than_retry_on():
    policy = Policy(max_attempts=9, retry_on=(OSError,), no_retry_on=(FileNotFoundError,))
    assert policy.wants_retry(ConnectionError(), 1)
    assert not policy.wants_retry(FileNotFoundError(), 1)


def test_what_is_no_exception_of_the_job_is_never_tried_again():
    assert not Policy(max_attempts=9).wants_retry(SystemExit(), 1)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [(5, [5, 5, 5]), (0, [0, 0, 0]), ((1, 10), [1, 10, 10]), (linear, [7, 7, 7]), (lambda e, r: -1, [0, 0, 0])],
)
def test_back_off_is_seconds_a_list_or_a_function(backoff, delays):
    policy = Policy(max_attempts=9, backoff=backoff)
    assert [policy.delay(ValueError("boom"), attempt, 3) for attempt in (1, 2, 3)] == delays


def test_a_later_layer_is_stronger_and_none_is_not_given():
    policy = Policy.merged({"max_attempts": 1}, {"max_attempts": 5, "timeout": None, "tags": ("x",)}, {"timeout": 3})
    assert (policy.max_attempts, policy.timeout) == (5, 3)


def test_an_exception_type_that_is_not_imported_is_known_by_its_name():
    policy = Policy(max_attempts=9, retry_on=("shop.errors.Busy", OSError), no_retry_on=("builtins.FileNotFoundError",))
    busy = type("Busy", (Exception,), {"__module__": "shop.errors"})
    assert policy.wants_retry(type("VeryBusy", (busy,), {})(), 1)
    assert policy.wants_retry(ConnectionError(), 1)
    assert not policy.wants_retry(FileNotFoundError(), 1)
    assert not policy.wants_retry(ValueError(), 1)
