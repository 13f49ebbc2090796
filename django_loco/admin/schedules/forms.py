"""The form of a schedule in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ...core.job import aware
from ...exceptions import LocoConfigurationError
from ...models import Schedule
from ...scheduler.api.row_validation import MOMENTS, UNCLEAR, is_unclear, problem_of_json
from ...scheduler.options import COLUMNS, OPTIONS, options_in
from ...scheduler.registry import default
from ...scheduler.triggers.parsing import zone_of

NOTHING_EXPOSED = gettext_lazy(
    "The code does not expose anything yet: put @scheduler.expose above a task, or call scheduler.expose() with the "
    "name of a management command in a schedules.py."
)

Choices = list[tuple[str, Any]]


class RunWidget(forms.MultiWidget):
    """A choice of the exposed tasks and commands, and a field for the arguments of a command."""

    template_name = "admin/django_loco/run.html"

    def __init__(self) -> None:
        arguments = AdminTextInputWidget(
            {"placeholder": gettext_lazy("arguments of the command"), "class": "vTextField"}
        )
        super().__init__([forms.Select(), arguments])

    def decompress(self, value: Any) -> list[str]:
        """Return the two parts of ``value``."""
        target, _, arguments = str(value or "").strip().partition(" ")
        return [target, arguments]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Offer all exposed tasks and commands, and the current choice even if it is no longer exposed."""
        target = (value if isinstance(value, list) else self.decompress(value))[0]
        self.widgets[0].choices = offered(target)  # type: ignore[attr-defined]
        return super().get_context(name, value, attrs)


class RunField(forms.MultiValueField):
    """The field ``run``, in two parts."""

    widget = RunWidget

    def __init__(self, **options: Any) -> None:
        super().__init__((forms.CharField(), forms.CharField(required=False)), require_all_fields=False, **options)

    def compress(self, data_list: Sequence[str]) -> str:
        """Return both parts joined, as they are stored."""
        return " ".join(part for part in data_list if part)


class BoundedJSONField(forms.JSONField):
    """JSON that every database can store and a form can show."""

    def to_python(self, value: Any) -> Any:
        """Return the parsed text. Raises ``ValidationError``, even if Python's parser raises another error."""
        try:
            found = super().to_python(value)
        except (RecursionError, ValueError) as error:  # nested too deeply; a number with thousands of digits
            raise ValidationError(_("It cannot be read: %(error)s"), params={"error": error}) from error
        if problem := problem_of_json(found):
            raise ValidationError(problem)
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the value that the form shows again after an error."""
        try:
            found = super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return InvalidJSONInput(data)
        return InvalidJSONInput(data) if problem_of_json(found) else found


class TagsField(forms.CharField):
    """A list of words, written with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        """Return the value that the form shows."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """Return the words."""
        return [word.strip() for word in str(value or "").split(",") if word.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the words have changed."""
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)


def offered(chosen: str) -> Choices:
    """Return the choices of tasks and commands."""
    allowed = default.allow_list
    targets = allowed.tasks | allowed.commands
    groups: Choices = [("", "---------")]
    if chosen and chosen not in targets:
        groups.append((chosen, _("%(name)s (not exposed by the code)") % {"name": chosen}))
    for label, names in ((_("Tasks"), allowed.tasks), (_("Management commands"), allowed.commands)):
        if names:
            groups.append((label, [(name, name) for name in sorted(names)]))
    return groups


class ZonedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose moments are on the wall clock of its own time zone or, if it names none, of the site's time zone.

    A moment that nobody changes stays as it is stored. A new moment that this clock skips or shows twice is an error of
    its field.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shown_in = clock_of(self.initial.get("timezone"))
        for name in MOMENTS:
            if isinstance(moment := self.initial.get(name), datetime):
                self.initial[name] = aware(moment).astimezone(self._shown_in).replace(tzinfo=None)

    def _clean_fields(self) -> None:
        zone = clock_of(self.data.get(self.add_prefix("timezone")))
        with timezone.override(zone):
            super()._clean_fields()  # type: ignore[misc]
        for name in self.fields.keys() & {*MOMENTS}:
            if zone == self._shown_in and not self.fields[name].has_changed(self[name].initial, self[name].data):
                # The form shows neither microseconds nor which of two equal clock times is meant, and another moment
                # would be another run.
                self.errors.pop(name, None)
                self.cleaned_data[name] = getattr(self.instance, name)
            elif not settings.USE_TZ and (moment := self.cleaned_data.get(name)):
                try:
                    self.cleaned_data[name] = _on_clock_of_site(moment, zone)
                except OverflowError:
                    continue  # beyond the calendar's end; the check of the row refuses it
                except ValidationError as error:
                    self.add_error(name, error)


def _on_clock_of_site(moment: datetime, zone: tzinfo) -> datetime:
    """Convert a moment on the wall clock of ``zone`` to the form in which the database stores it without ``USE_TZ``.

    Raises ``ValidationError`` if that clock skips the moment or shows it twice. For the site's clock, the check of the
    row does this.
    """
    site = timezone.get_default_timezone()
    if is_unclear(moment, zone):
        raise ValidationError(_(UNCLEAR), params={"datetime": moment, "current_timezone": zone})
    return timezone.make_naive(moment.replace(tzinfo=zone).astimezone(UTC), site)


def clock_of(name: Any) -> tzinfo:
    """Return the time zone that a row names, or the site's time zone if it names none.

    An unknown time zone also gives the site's. It is reported as an error of its own field.
    """
    try:
        return zone_of(str(name or "").strip() or None)
    except LocoConfigurationError:
        return timezone.get_default_timezone()


class ScheduleForm(ZonedForm):
    """A schedule. Errors appear at their field: see ``scheduler.api.row_validation``."""

    run = RunField(label=pgettext_lazy("what a schedule runs", "Run"))
    tags = TagsField(label=gettext_lazy("Tags"), required=False)

    class Meta:
        """Fields, labels and widgets."""

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
                field.help_text = str(OPTIONS[name].form_help)
        if "run" in self.fields and not default.allow_list.tasks | default.allow_list.commands:
            self.fields["run"].help_text = NOTHING_EXPOSED

    def _update_errors(self, errors: Any) -> None:
        """Add the errors of the row, except for fields that have an error already."""
        if hasattr(errors, "error_dict"):
            errors = ValidationError(
                {name: told for name, told in errors.error_dict.items() if name not in self.errors}
            )
        super()._update_errors(errors)  # type: ignore[misc]


class WhenForm(ZonedForm):
    """The fields that say when a schedule runs, for the preview."""

    class Meta:
        """Its fields."""

        model = Schedule
        fields = options_in("when")
        field_classes = dict.fromkeys(("at", "start", "end"), forms.SplitDateTimeField)

    def _post_clean(self) -> None:
        """Do not validate the row, because the rules need fields that this form lacks."""
        for name, value in self.cleaned_data.items():
            setattr(self.instance, name, value)
