"""Parts: the things a door, a job or a channel may ask for by type, and how their functions are bound to them."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Parts:
    """The built parts of the platform and of the modules, by type. Filled by the assembly, read-only afterwards."""

    def __init__(self) -> None:
        self._parts: dict[type, Any] = {}

    def add(self, kind: type[T], part: T) -> T:
        """Provide a part under a type; the same type twice is a mistake and raises ValueError."""
        if kind in self._parts:
            raise ValueError(f"there is a part of type {kind.__name__} already")
        self._parts[kind] = part
        return part

    def get(self, kind: type[T]) -> T:
        """The part of a type; raises LookupError naming the type when there is none."""
        try:
            return self._parts[kind]
        except KeyError:
            raise LookupError(f"nothing provides a {kind.__name__}") from None

    def __contains__(self, kind: object) -> bool:
        return kind in self._parts

    def bind(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function with every parameter whose type is a part already given, by name."""
        given = {name: self._parts[kind] for name, kind in hints_of(function).items() if kind in self}
        return functools.partial(function, **given) if given else function


@functools.cache
def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    return typing.get_type_hints(function, include_extras=True)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's parameters, in order, without its return type."""
    hints = _hints(function)
    return {name: hints[name] for name in inspect.signature(function).parameters if name in hints}
