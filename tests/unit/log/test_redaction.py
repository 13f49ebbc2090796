"""Arguments that are not shown."""

from __future__ import annotations

import pytest

from django_loco.log.redaction import MARK, scrubbed, secrets_of, shown_call

NAMES = ["password", "pin"]


def pay(account, password, /, amount, *rest, pin=None, **more): ...


@pytest.mark.parametrize(
    ("args", "kwargs", "shown", "secrets"),
    [
        (["me", "hunter2"], {"amount": 5}, (["me", MARK], {"amount": 5}), {"hunter2"}),
        (["me", "x", 5, "y"], {"pin": 47110815}, (["me", MARK, 5, "y"], {"pin": MARK}), {"47110815"}),
        (["me", None], {"password": ["abcd", {"a": "efgh"}]}, (["me", MARK], {"password": MARK}), {"abcd", "efgh"}),
        ([{"password": "hunter2"}, ""], {}, ([{"password": MARK}, MARK], {}), {"hunter2"}),
        ([[{"pin": "hunter2"}], ""], {}, ([[{"pin": MARK}], MARK], {}), {"hunter2"}),
        (["me", "it's\n'mine'"], {}, (["me", MARK], {}), {"it's\n'mine'", r"it's\n'mine'"}),
        (["hunter2"], {}, (["hunter2"], {}), set()),
        ([], {}, ([], {}), set()),
        (["a", "b", "c", {"pin": "hunter2"}], {}, (["a", MARK, "c", {"pin": MARK}], {}), {"hunter2"}),
        (["a", True], {}, (["a", MARK], {}), set()),
    ],
)
def test_what_is_called_so_is_hidden_by_position_keyword_and_key(args, kwargs, shown, secrets):
    assert shown_call(pay, args, kwargs, NAMES) == shown
    assert set(secrets_of(pay, args, kwargs, NAMES)) == secrets


def test_the_longest_secret_is_hidden_first():
    secrets = secrets_of(pay, ["me", ["hunter", "hunter2"]], {}, NAMES)
    assert scrubbed("hunter2 is no hunter", secrets) == f"{MARK} is no {MARK}"
    assert scrubbed("all as it was", ()) == "all as it was"
