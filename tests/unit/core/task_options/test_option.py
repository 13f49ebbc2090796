"""The entry of an option."""

from __future__ import annotations

from typing import Annotated, TypedDict

from django_loco.core.task_options.option import Option, options_of
from django_loco.core.validation import Rule, are_tags

TAGS = Option(type="list", default="none", help="words", rule=Rule(are_tags, "a list of words"))


class Declared(TypedDict, total=False):
    tags: Annotated[list[str], TAGS]
    plain: str


def test_the_entries_of_a_declaration_are_found():
    assert options_of(Declared) == {"tags": TAGS}


def test_a_value_in_place_of_a_list_of_it_has_a_remedy():
    assert TAGS.problem("tags", "a") == "tags is 'a'; it must be a list of words. Write tags=['a']."
    assert TAGS.problem("tags", 3) == "tags is 3; it must be a list of words."
    assert TAGS.problem("tags", ["a"]) is None


def test_an_option_without_a_rule_is_checked_elsewhere():
    assert Option(type="int", default="0", help="").problem("priority", object()) is None
