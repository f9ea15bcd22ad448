"""The plan of a door: what its function's parameters are, and the shapes that its query and body are read into."""

import inspect
import types
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import msgspec

from tenfold.kit.actors import Actor
from tenfold.platform.db import Read, Write
from tenfold.platform.http.doors import Client, Door
from tenfold.platform.http.lists import CURSOR, marking
from tenfold.platform.parts import Parts, hints_of

Tx = Literal["read", "write", "none"]
_STANDARD = {"builtins", "uuid", "datetime", "decimal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a door's function is called. `call` has the platform's parts bound already."""

    call: Callable[..., Awaitable[Any]]
    tx: Tx
    path: tuple[str, ...]
    query: type[msgspec.Struct]
    query_names: tuple[str, ...]
    body: Any | None
    wants_actor: bool
    needs_actor: bool
    wants_client: bool
    answer: Any


def path_parameters(path: str) -> dict[str, str]:
    """The parameters of a door's path, with their kinds: `{"user_id": "uuid"}`."""
    parameters = (piece[1:-1] for piece in path.split("/") if piece.startswith("{"))
    return {name: kind for name, _, kind in (parameter.partition(":") for parameter in parameters)}


def plan_of(door: Door, parts: Parts | None) -> Plan:
    """Read a door's signature. Without `parts` (for documents) nothing is bound. Raises TypeError for a wrong one."""
    hints = hints_of(door.function)
    in_path = path_parameters(door.path)
    defaults = {name: p.default for name, p in inspect.signature(door.function).parameters.items()}
    tx: Tx = "none"
    body: Any | None = None
    wants_actor = needs_actor = wants_client = False
    query: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, hint in hints.items():
        if hint in (Read, Write):
            tx = "write" if hint is Write else "read"
        elif _is_actor(hint):
            wants_actor, needs_actor = True, hint is Actor
        elif hint is Client:
            wants_client = True
        elif name == "data":
            body = hint
        elif name in in_path or (_is_part(hint) and (parts is None or hint in parts)):
            continue
        elif _is_part(hint):
            raise TypeError(f"{door.name}: nothing provides parameter {name}: {hint.__name__}")
        else:
            query.append((name, hint) if defaults[name] is inspect.Parameter.empty else (name, hint, defaults[name]))
    missing = set(in_path) - set(hints)
    if missing:
        raise TypeError(f"{door.name}: the function does not take {sorted(missing)}")
    call = parts.bind(door.function) if parts is not None else door.function
    return Plan(
        call=marking(call, door.name, tuple(in_path)) if any(entry[0] == CURSOR for entry in query) else call,
        tx=tx,
        path=tuple(in_path),
        query=msgspec.defstruct(_query_name(door), query, forbid_unknown_fields=True, kw_only=True),
        query_names=tuple(entry[0] for entry in query),
        body=body,
        wants_actor=wants_actor,
        needs_actor=needs_actor or bool(door.roles),
        wants_client=wants_client,
        answer=typing.get_type_hints(door.function, include_extras=True).get("return"),
    )


def _query_name(door: Door) -> str:
    """A name of its own for each door's query, as documents list shapes by name."""
    return "Query" + "".join(letter if letter.isalnum() else "_" for letter in door.name)


def _is_actor(hint: Any) -> bool:
    return hint is Actor or (get_origin(hint) in (types.UnionType, typing.Union) and Actor in get_args(hint))


def _is_part(hint: Any) -> bool:
    """A part is a plain class; what a query can hold is a builtin, a standard value, or annotated."""
    return inspect.isclass(hint) and get_origin(hint) is None and hint.__module__ not in _STANDARD
