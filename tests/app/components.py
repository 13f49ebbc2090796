"""Components of a project, some of which are none."""

from django_loco.component import Component, Loop


class Feed(Loop):
    name = "feed"

    def turn(self) -> None:
        """Nothing to do."""


def Other() -> Component:  # noqa: N802 (named like a class)
    return Feed()


class Unrelated:
    pass


NOTHING = None
