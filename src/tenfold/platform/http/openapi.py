"""The OpenAPI 3.1 document, written from the doors: shapes, limits, and every refusal that one can answer with."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tenfold.kit.refusals import NotFound, Refusal, SecondFactorDue
from tenfold.platform.http.doors import Door
from tenfold.platform.http.plan import Plan, path_parameters, plan_of
from tenfold.platform.http.problems import EVERYWHERE, SIGNED_IN, WITH_BODY, WITH_KEY, Problem, UnknownPath
from tenfold.platform.http.router import PREFIX

_REF = "#/components/schemas/{name}"
_KINDS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "str": {"type": "string"},
}
_HEADERS = {
    "X-Request-Id": "The id of this request, in the log too. A client may send its own.",
    "RateLimit": "What is left of the tightest limit, and when it is full again (IETF draft).",
    "RateLimit-Policy": "The limits that applied (IETF draft).",
    "ETag": "Names this body; sent back in `If-None-Match` it is answered with 304 while nothing has changed.",
    "Retry-After": "Seconds to wait before trying again.",
    "WWW-Authenticate": "How to sign in: `Bearer`.",
    "Idempotency-Replayed": "`true` when this is the kept answer to an earlier request with the same key.",
}
_ALWAYS = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
_WITH_STATUS = {304: ("ETag",), 401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def refusals_of(door: Door, plan: Plan) -> list[type[Refusal]]:
    """Every refusal this door can answer with, its own first."""
    found: list[type[Refusal]] = [*door.refuses, *EVERYWHERE]
    if plan.wants_actor or plan.needs_actor:
        found += SIGNED_IN
    if plan.body is not None:
        found += WITH_BODY
    if door.idempotent:
        found += WITH_KEY
    if "admin" in door.roles:
        found.append(SecondFactorDue)
    if plan.path or door.roles:
        found.append(UnknownPath)
    return list(dict.fromkeys(found))


def document_of(doors: Sequence[Door], *, title: str, version: str, server: str) -> dict[str, Any]:
    """The whole document as plain values."""
    plans = {door: plan_of(door, None) for door in doors}
    shapes = [shape for plan in plans.values() for shape in (plan.body, plan.answer, plan.query) if _is_shape(shape)]
    schemas, components = msgspec.json.schema_components([*shapes, Problem], ref_template=_REF)
    schema_of = dict(zip(map(id, shapes), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for door, plan in plans.items():
        path = PREFIX + "/".join(_bare(piece) for piece in door.path.split("/"))
        paths[path][door.method.lower()] = _operation(door, plan, schema_of, components)
    components = {name: schema for name, schema in components.items() if not name.startswith("Query")}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": _DESCRIPTION},
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in dict.fromkeys(door.tag for door in doors)],
        "paths": dict(paths),
        "components": {
            "schemas": components,
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


_DESCRIPTION = (
    "Lists take `limit` and an opaque `cursor` and answer `items` and `next`. Refusals are RFC 9457 problem documents "
    "with a stable `code`. What you may not see does not exist for you: 404, never 403."
)


def _is_shape(hint: Any) -> bool:
    return hint is not None and hint is not type(None)


def _bare(piece: str) -> str:
    return "{" + piece[1:-1].partition(":")[0] + "}" if piece.startswith("{") else piece


def _operation(door: Door, plan: Plan, schema_of: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary, _, rest = door.description.partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{door.tag}_{door.function.__name__}",
        "tags": [door.tag],
        "summary": summary,
        "description": rest.strip() or summary,
        "parameters": _parameters(door, plan, components, schema_of),
        "responses": _responses(door, plan, schema_of),
    }
    if plan.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(schema_of[id(plan.body)])}
    if plan.needs_actor:
        operation["security"] = [{"bearer": []}]
    elif plan.wants_actor:
        operation["security"] = [{}, {"bearer": []}]
    return operation


def _parameters(door: Door, plan: Plan, components: dict[str, Any], schema_of: dict[int, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _KINDS.get(kind, _KINDS["str"])}
        for name, kind in path_parameters(door.path).items()
    ]
    query = _resolved(schema_of[id(plan.query)], components)
    for name, schema in query.get("properties", {}).items():
        required = name in query.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, "schema": schema})
    if door.idempotent:
        about = "The same key and request give the same answer for 24 hours, and the deed happens once."
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "description": about, "schema": schema})
    return parameters


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return components[reference.rpartition("/")[2]] if reference else schema


def _responses(door: Door, plan: Plan, schema_of: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    done = (*(["ETag"] if door.etag else []), *(["Idempotency-Replayed"] if door.idempotent else []))
    if _is_shape(plan.answer):
        status = 200 if door.status == 204 else door.status
        content = _json(schema_of[id(plan.answer)])
        responses[str(status)] = {"description": "Done.", "headers": _headers(status, *done), "content": content}
        if door.etag:
            responses["304"] = {"description": "You have it already.", "headers": _headers(304)}
    else:
        responses["204"] = {"description": "Done.", "headers": _headers(204, *done)}
    by_status: dict[int, list[type[Refusal]]] = defaultdict(list)
    for refusal in refusals_of(door, plan):
        by_status[refusal.status].append(refusal)
    for status, refusals in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "\n\n".join(f"`{refusal.code()}`: {refusal.title()}" for refusal in refusals),
            "headers": _headers(status),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
    return responses


def _headers(status: int, *more: str) -> dict[str, Any]:
    names = (*_ALWAYS, *_WITH_STATUS.get(status, ()), *more)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def undeclared(doors: Iterable[Door]) -> list[str]:
    """Doors with a path parameter that declare no 404 of their own, for the house test."""
    return [
        door.name
        for door in doors
        if path_parameters(door.path) and not any(issubclass(refusal, NotFound) for refusal in door.refuses)
    ]
