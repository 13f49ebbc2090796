"""``{% loco_progress result %}``: a bar that shows the progress of a job or batch, and updates itself."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import NoReverseMatch

from ..core.compat import TaskResult
from ..exceptions import LocoConfigurationError
from ..jobs.operations.batches.batch import Batch
from ..jobs.operations.workflows.workflow import Workflow
from ..urls.progress import Progressing, address_of, shown_result

register = template.Library()


@register.inclusion_tag("django_loco/progress.html", takes_context=True)
def loco_progress(context: Any, result: Progressing | None, label: str = "") -> dict[str, Any]:
    """Return the context of the template: ``{% loco_progress result label="Import" %}``.

    ``result`` is a result of ``enqueue()`` or ``get_result()``, a batch or a workflow. For ``None`` nothing is shown.
    By default ``label`` is the task's description or name, or the name of the batch or workflow.

    Raises ``LocoConfigurationError`` without ``django_loco.urls.progress`` in the ``urlpatterns``, and ``TypeError``
    for anything else.
    """
    if result is None:
        return {"url": ""}
    if not isinstance(result, TaskResult | Batch | Workflow):
        raise TypeError(f"{{% loco_progress %}} takes the result of a job, a batch or a workflow, not {result!r:.100}.")
    try:
        url = address_of(result)
    except NoReverseMatch:
        raise LocoConfigurationError(
            '{% loco_progress %} needs path("", include("django_loco.urls.progress")) in the urlpatterns.'
        ) from None
    return {
        "url": url,
        "id": f"loco-progress-{result.id}",
        "label": label or _label_of(result),
        "shown": shown_result(result),
        "csp_nonce": context.get("csp_nonce", ""),
    }


def _label_of(result: Progressing) -> str:
    if not isinstance(result, TaskResult):
        return result.name
    return getattr(result.task, "description", "") or result.task.name
