"""``{% loco_progress result %}``: a bar that shows how far a job is, and keeps itself up to date."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import NoReverseMatch

from ..core.compat import TaskResult
from ..exceptions import LocoConfigurationError
from ..urls.progress import address_of, shown_result

register = template.Library()


@register.inclusion_tag("django_loco/progress.html", takes_context=True)
def loco_progress(context: Any, result: TaskResult[..., Any] | None, label: str = "") -> dict[str, Any]:
    """Return the context of the template: ``{% loco_progress result label="Import" %}``.

    ``result`` is what ``enqueue()`` or ``get_result()`` has returned; for ``None`` nothing is shown. By default
    ``label`` is the description of the task, or its name.

    Raises ``LocoConfigurationError`` without ``django_loco.urls.progress`` in the ``urlpatterns``, and ``TypeError``
    for what is no result.
    """
    if result is None:
        return {"url": ""}
    if not isinstance(result, TaskResult):
        raise TypeError(f"{{% loco_progress %}} takes the result of a job, not {result!r:.100}.")
    try:
        url = address_of(result)
    except NoReverseMatch:
        raise LocoConfigurationError(
            '{% loco_progress %} needs path("", include("django_loco.urls.progress")) in the urlpatterns.'
        ) from None
    return {
        "url": url,
        "id": f"loco-progress-{result.id}",
        "label": label or getattr(result.task, "description", "") or result.task.name,
        "shown": shown_result(result),
        "csp_nonce": context.get("csp_nonce", ""),
    }
