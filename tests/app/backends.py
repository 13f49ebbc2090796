"""A Tasks backend that is not ours."""

from typing import Any

from django_loco.core.compat import BaseTaskBackend


class OtherBackend(BaseTaskBackend):
    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        raise NotImplementedError
