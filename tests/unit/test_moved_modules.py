"""A path that is not there says what to import."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec

import pytest

import django_loco


def execute(statement: str) -> None:
    exec(statement, {})  # noqa: S102 - an import by its name would not take the names of a package


@pytest.mark.parametrize(("path", "remedy"), django_loco._INSTEAD.items())
def test_a_path_that_is_not_there_names_another(path: str, remedy: str) -> None:
    execute(remedy)
    package, _, name = path.rpartition(".")
    assert not hasattr(import_module(package), name)
    for statement in (f"import {path}", f"from {package} import {name}"):
        with pytest.raises(ModuleNotFoundError, match=re.escape(f"There is no {path}. Write: {remedy}")):
            execute(statement)


def test_other_modules_that_do_not_exist_are_missing_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'django_loco\.nothing'"):
        import_module("django_loco.nothing")
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        execute("from django_loco import nothing")
    assert find_spec("django_loco.nothing") is None
