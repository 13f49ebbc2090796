"""A former path of a module says where it is now."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

import django_loco


@pytest.mark.parametrize(("former", "present"), django_loco._MOVED.items())
def test_a_former_path_names_the_present_one(former: str, present: str) -> None:
    import_module(present)
    with pytest.raises(ModuleNotFoundError, match=f"{former} has moved: import {present}"):
        import_module(former)


def test_other_modules_that_do_not_exist_are_missing_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'django_loco\.nothing'"):
        import_module("django_loco.nothing")
    assert find_spec("django_loco.nothing") is None
