"""``path("", include("django_loco.urls.metrics"))`` gives ``/metrics``, for Prometheus.

The page is the same in every process of the site, because it is about the contents of the queues. It is not public: it
requires the token of ``LOCO["METRICS_TOKEN"]``, or a user who may see all jobs on the dashboard.
"""

from __future__ import annotations

from http import HTTPStatus

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..conf import loco_settings
from ..exceptions import LocoConfigurationError
from ..jobs.page_parts.scope import UNKNOWN_SCOPE, scope_of
from ..jobs.page_parts.users import problem_of_user
from ..log.safe import get_logger
from ..metrics.exposition import CONTENT_TYPE, text_of
from ..process.health.job_metrics import job_families

logger = get_logger("django_loco.metrics")

PERMISSION = "django_loco.view_job"
SCHEME = "bearer"


@non_atomic_requests
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics. Users who may not see them get 401 or 403 with the remedy.

    Returns 503 if ``LOCO["DASHBOARD"]`` does not say which jobs a user may see. Raises the errors of its function.
    """
    return _refusal(request) or HttpResponse(text_of(job_families()), content_type=CONTENT_TYPE)


metrics.login_required = False  # type: ignore[attr-defined]  # for Django's LoginRequiredMiddleware


def _refusal(request: HttpRequest) -> HttpResponse | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == SCHEME:
        return None if _is_token(given) else _refused(HTTPStatus.UNAUTHORIZED, _wrong_token())
    user = getattr(request, "user", None)  # a site may have no users
    if user is None or not user.is_authenticated:
        return _refused(
            HTTPStatus.UNAUTHORIZED,
            'Send "Authorization: Bearer TOKEN" with the token of LOCO["METRICS_TOKEN"], or log in as a member of '
            f"staff with the permission {PERMISSION}.",
        )
    if reason := problem_of_user(user):
        return _refused(HTTPStatus.FORBIDDEN, reason)
    lacks = [] if user.is_staff else ["staff status"]
    lacks += [] if user.has_perm(PERMISSION) else [f"the permission {PERMISSION}"]
    if lacks:
        return _refused(HTTPStatus.FORBIDDEN, f"The user {user} lacks {' and '.join(lacks)}.")
    return _scope_refusal(request)


def _scope_refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the answer for a user who may see only a part of the jobs on the dashboard; ``None`` for others."""
    try:
        is_narrowed = scope_of(request).is_narrowed
    except LocoConfigurationError:
        logger.exception("It is not known which jobs %s may see", request.user)
        response = _refused(HTTPStatus.SERVICE_UNAVAILABLE, str(UNKNOWN_SCOPE))
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - Django would log and mail it again
        return response
    if not is_narrowed:
        return None
    reason = "sees a part of the jobs only, and this page is about all of them. The token opens it."
    return _refused(HTTPStatus.FORBIDDEN, f"The user {request.user} {reason}")


def _is_token(given: str) -> bool:
    token = loco_settings().METRICS_TOKEN
    return token is not None and constant_time_compare(given.strip(), token)


def _wrong_token() -> str:
    if loco_settings().METRICS_TOKEN is None:
        return 'LOCO["METRICS_TOKEN"] is not set, so no token opens this page.'
    return 'The token is not that of LOCO["METRICS_TOKEN"].'


def _refused(status: HTTPStatus, reason: str) -> HttpResponse:
    response = HttpResponse(f"{reason}\n", status=status, content_type="text/plain; charset=utf-8")
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


urlpatterns = [path("metrics", metrics, name="loco_metrics")]
