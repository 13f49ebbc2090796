"""``path("jobs/", include("django_loco.urls.dashboard"))`` adds the dashboard."""

from __future__ import annotations

from django.urls import path

from ..dashboard.live.events import changes
from ..dashboard.pages.failures.page import failures_page, operate_group
from ..dashboard.pages.job.page import job_page
from ..dashboard.pages.job.run_again import run_again
from ..dashboard.pages.jobs.operate import operate
from ..dashboard.pages.jobs.page import jobs_page
from ..dashboard.pages.limits.change import change_limit
from ..dashboard.pages.limits.page import limits_page
from ..dashboard.pages.overview.page import overview
from ..dashboard.pages.queues.page import queues
from ..dashboard.pages.schedules.page import act, schedules
from ..dashboard.pages.tasks.page import tasks
from ..dashboard.pages.workers.page import tell, workers
from ..dashboard.pages.workflows.act import act_on_workflow
from ..dashboard.pages.workflows.list_page import workflow_list
from ..dashboard.pages.workflows.page import workflow_page
from ..dashboard.pausing import pause

app_name = "loco_dashboard"
urlpatterns = [
    path("", overview.view(), name="overview"),
    path("changes", changes, name="changes"),
    path("pause", pause, name="pause"),
    path("jobs/", jobs_page.view(), name="jobs"),
    path("jobs/operate", operate, name="operate"),
    path("jobs/<str:job_id>/", job_page.view(), name="job"),
    path("jobs/<str:job_id>/again", run_again, name="run_again"),
    path("failures/", failures_page.view(), name="failures"),
    path("failures/operate", operate_group, name="operate_group"),
    path("queues/", queues.view(), name="queues"),
    path("tasks/", tasks.view(), name="tasks"),
    path("schedules/", schedules.view(), name="schedules"),
    path("schedules/act", act, name="act_on_schedule"),
    path("limits/", limits_page.view(), name="limits"),
    path("limits/change", change_limit, name="change_limit"),
    path("workflows/", workflow_list.view(), name="workflows"),
    path("workflows/<str:batch_id>/", workflow_page.view(), name="workflow"),
    path("workflows/<str:batch_id>/act", act_on_workflow, name="act_on_workflow"),
    path("workers/", workers.view(), name="workers"),
    path("workers/tell", tell, name="tell_worker"),
]
