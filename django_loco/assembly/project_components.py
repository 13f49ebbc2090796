"""Components of the project's own, as ``LOCO["COMPONENTS"]`` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.utils.module_loading import import_string

from ..component import Component
from ..conf import did_you_mean, loco_settings
from ..exceptions import LocoConfigurationError
from .restarter import Part

#: Names that are taken.
OURS = ("server", "worker", "scheduler", "web")


def known() -> dict[str, Callable[[], Component]]:
    """Return what makes each component, by its name.

    Raises ``LocoConfigurationError`` for what cannot be imported, is no component, or has the name of another.
    """
    found: dict[str, Callable[[], Component]] = {}
    for path in loco_settings().COMPONENTS:
        made = _imported(path)
        name = str(getattr(made, "name", "")) or path.rpartition(".")[2]
        if name in OURS or name in found:
            raise LocoConfigurationError(
                f"LOCO['COMPONENTS']: the name of {path!r} is {name!r}, and so is that of another. Set another `name`."
            )
        found[name] = made
    return found


def _imported(path: str) -> Callable[[], Component]:
    try:
        made = import_string(path)
    except Exception as error:  # a module may raise anything when it is imported
        raise LocoConfigurationError(f"LOCO['COMPONENTS'] names {path!r}, which cannot be imported: {error}") from error
    if not callable(made) or (isinstance(made, type) and not issubclass(made, Component)):
        raise LocoConfigurationError(
            f"LOCO['COMPONENTS'] names {path!r}, which is no component: make it a subclass of "
            "django_loco.component.Component or Loop, or a function that returns one."
        )
    return made  # type: ignore[no-any-return]


def named(words: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the components that ``words`` mean, by name, class or path, each once.

    Raises ``LocoConfigurationError`` for one that is not in ``LOCO["COMPONENTS"]``.
    """
    paths = dict(zip(loco_settings().COMPONENTS, known(), strict=True))
    names = {path.rpartition(".")[2]: name for path, name in paths.items()} | paths | {name: name for name in known()}
    for word in words:
        if word not in names:
            told = did_you_mean(word, [*paths.values()]) if paths else " LOCO['COMPONENTS'] is empty."
            raise LocoConfigurationError(f"There is no component {word!r} in LOCO['COMPONENTS'].{told}")
    return tuple(dict.fromkeys(names[word] for word in words))


def parts(names: Iterable[str]) -> list[Part]:
    """Return the parts for these names."""
    made = known()
    return [Part(name, made[name]) for name in names]
