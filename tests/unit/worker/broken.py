"""A module of tasks with a bug of its own."""

1 / 0  # noqa: B018
