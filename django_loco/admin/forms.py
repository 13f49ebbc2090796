"""The form of a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from ..models import Schedule
from ..scheduler.api.row_validation import problem_of_json
from ..scheduler.options import COLUMNS, OPTIONS, Group, in_group
from ..scheduler.registry import default

NOTHING_EXPOSED = (
    "The code exposes nothing yet: put @scheduler.expose above a task, or call scheduler.expose() with the name of a "
    "management command in a schedules.py."
)

Choices = list[tuple[str, Any]]


def form_lines(group: Group) -> tuple[str | tuple[str, ...], ...]:
    """Return the lines of a section of the form: a field each, or several beside each other."""
    lines: list[tuple[str, ...]] = []
    for name in in_group(group):
        if OPTIONS[name].beside:
            lines[-1] += (name,)
        else:
            lines.append((name,))
    return tuple(line if len(line) > 1 else line[0] for line in lines)


class RunWidget(forms.MultiWidget):
    """A choice of what the code exposes, and a field for the arguments of a management command."""

    template_name = "admin/django_loco/run.html"

    def __init__(self) -> None:
        arguments = AdminTextInputWidget({"placeholder": "arguments of the command", "class": "vTextField"})
        super().__init__([forms.Select(), arguments])

    def decompress(self, value: Any) -> list[str]:
        """Return the two parts of ``value``."""
        target, _, arguments = str(value or "").strip().partition(" ")
        return [target, arguments]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Offer what the code exposes now, and what is chosen even if it is not exposed any more."""
        target = (value if isinstance(value, list) else self.decompress(value))[0]
        self.widgets[0].choices = offered(target)  # type: ignore[attr-defined]
        return super().get_context(name, value, attrs)


class RunField(forms.MultiValueField):
    """``run``, of two parts."""

    widget = RunWidget

    def __init__(self, **options: Any) -> None:
        super().__init__((forms.CharField(), forms.CharField(required=False)), require_all_fields=False, **options)

    def compress(self, data_list: Sequence[str]) -> str:
        """Return both parts as they are kept."""
        return " ".join(part for part in data_list if part)


class BoundedJSONField(forms.JSONField):
    """JSON that can be kept in any database, and shown again."""

    def to_python(self, value: Any) -> Any:
        """Return what the text says. Raises ``ValidationError``, also for what Python's own parser gives up on."""
        try:
            found = super().to_python(value)
        except (RecursionError, ValueError) as error:  # nested without end; a number of thousands of digits
            raise ValidationError(f"It cannot be read: {error}") from error
        if problem := problem_of_json(found):
            raise ValidationError(f"It {problem}")
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what stands in the form again, after it was refused."""
        try:
            found = super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return InvalidJSONInput(data)
        return InvalidJSONInput(data) if problem_of_json(found) else found


class TagsField(forms.CharField):
    """Words with commas between them, for a list of words."""

    def prepare_value(self, value: Any) -> Any:
        """Return what stands in the form."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """Return the words."""
        return [word.strip() for word in str(value or "").split(",") if word.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether there are other words."""
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)


def offered(chosen: str) -> Choices:
    """Return the choices of what to run."""
    exposed = default.allow_list
    known = exposed.tasks | exposed.commands
    groups: Choices = [("", "---------")]
    if chosen and chosen not in known:
        groups.append((chosen, f"{chosen} (not exposed by the code)"))
    groups += [("Tasks", _pairs(exposed.tasks))] if exposed.tasks else []
    groups += [("Management commands", _pairs(exposed.commands))] if exposed.commands else []
    return groups


def _pairs(names: Iterable[str]) -> Choices:
    return [(name, name) for name in sorted(names)]


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A schedule. What is wrong is told at the field in question: see ``scheduler.rules``."""

    run = RunField()
    tags = TagsField(required=False)

    class Meta:
        """Labels, and what the fields look like."""

        model = Schedule
        fields = ("name", "description", *COLUMNS)
        labels = {name: option.label for name, option in OPTIONS.items() if option.label}
        field_classes = dict.fromkeys(("args", "kwargs"), BoundedJSONField)
        widgets = {
            "description": forms.Textarea({"rows": 2, "class": "vLargeTextField"}),
            "args": AdminTextInputWidget({"class": "vTextField loco-json"}),
            "kwargs": AdminTextInputWidget({"class": "vTextField loco-json"}),
            "schedule": AdminTextInputWidget(),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            if name in OPTIONS:
                field.help_text = OPTIONS[name].form_help
        if "run" in self.fields and not default.allow_list.tasks | default.allow_list.commands:
            self.fields["run"].help_text = NOTHING_EXPOSED


class WhenForm(forms.ModelForm):  # type: ignore[type-arg]
    """The part of it that says when, for the preview."""

    class Meta:
        """Its fields."""

        model = Schedule
        fields = in_group("when")
        field_classes = dict.fromkeys(("at", "start", "end"), forms.SplitDateTimeField)

    def _post_clean(self) -> None:
        """Leave the rules to whoever asks: they are about fields that are not here."""
        for name, value in self.cleaned_data.items():
            setattr(self.instance, name, value)
