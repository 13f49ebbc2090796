"""Components for the tests of health."""

from __future__ import annotations

from typing import Any

from django_loco.component import Component

SECONDS = 10.0
RUNNING = {"state": "running", "alive": True}


class Supervised(Component):
    """A supervisor of components that say what the test wants."""

    name = "supervisor"
    is_alive = True

    def __init__(self, **components: dict[str, Any]) -> None:
        self.components = components

    def start(self) -> None: ...
    def quiet(self) -> None: ...
    def stop(self, deadline: float) -> None: ...
    def join(self, timeout: float | None = None) -> bool:
        return True

    def health(self) -> dict[str, Any]:
        return {"alive": True, "components": self.components}
