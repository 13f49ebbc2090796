"""Users of a model of the project's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory

from django_loco.dashboard.access import refusal
from django_loco.jobs.page_parts.users import problem_of_user
from django_loco.urls.metrics import metrics


class Person(SimpleNamespace):
    """Has what ``AbstractBaseUser`` gives."""

    is_authenticated, is_active = True, True


@pytest.mark.parametrize("ask", [lambda request: refusal(request, "django_loco.view_job"), metrics])
def test_a_model_without_permissions_is_refused_with_the_remedy(ask):
    assert not {"is_staff", "has_perm", "has_perms"} & set(dir(AbstractBaseUser))
    request = RequestFactory().get("/")
    request.user = Person()
    answer = ask(request)
    assert answer.status_code == 403
    assert "The user model Person lacks is_staff, has_perm, has_perms. Add the field" in answer.content.decode()


@pytest.mark.parametrize("user", [User(), AnonymousUser()])
def test_users_of_django_are_fit(user):
    assert problem_of_user(user) == ""
