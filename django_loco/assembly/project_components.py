"""The project's own components, from ``LOCO["COMPONENTS"]``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..component import Component
from ..conf import loco_settings
from ..core.imports import import_string
from ..core.validation import did_you_mean
from ..exceptions import LocoConfigurationError

#: Names that a component of the project cannot have.
RESERVED_NAMES = ("server", "worker", "scheduler", "web")

Factory = Callable[[], Component]


def registered() -> dict[str, Factory]:
    """Return the class or function that makes each component, by the component's name.

    Raises ``LocoConfigurationError`` for a path that cannot be imported or is not a component, and for a duplicate
    name.
    """
    factories: dict[str, Factory] = {}
    for path in loco_settings().COMPONENTS:
        factory = _import_factory(path)
        name = str(getattr(factory, "name", "")) or path.rpartition(".")[2]
        if name in RESERVED_NAMES or name in factories:
            raise LocoConfigurationError(
                f"LOCO['COMPONENTS']: {path!r} has the name {name!r}, which is taken. Set another `name`."
            )
        factories[name] = factory
    return factories


def _import_factory(path: str) -> Factory:
    try:
        factory = import_string(path)
    except Exception as error:  # importing a module may raise anything
        raise LocoConfigurationError(f"LOCO['COMPONENTS'] names {path!r}, which cannot be imported: {error}") from error
    if not callable(factory) or (isinstance(factory, type) and not issubclass(factory, Component)):
        raise LocoConfigurationError(
            f"LOCO['COMPONENTS'] names {path!r}, which is not a component. Make it a subclass of "
            "django_loco.component.Component or Loop, or a function that returns one."
        )
    return factory  # type: ignore[no-any-return]


def resolve(words: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the components that ``words`` refer to by name, class or path, without duplicates.

    Raises ``LocoConfigurationError`` for a word that refers to no entry of ``LOCO["COMPONENTS"]``.
    """
    factories = registered()
    paths = dict(zip(loco_settings().COMPONENTS, factories, strict=True))
    names = {path.rpartition(".")[2]: name for path, name in paths.items()} | paths | {name: name for name in factories}
    for word in words:
        if word not in names:
            remedy = did_you_mean(word, [*paths.values()]) if paths else " LOCO['COMPONENTS'] is empty."
            raise LocoConfigurationError(f"LOCO['COMPONENTS'] has no component {word!r}.{remedy}")
    return tuple(dict.fromkeys(names[word] for word in words))
