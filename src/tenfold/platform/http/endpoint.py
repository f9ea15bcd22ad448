"""The endpoint: what a door does with one request, from the gate to the bytes of the answer."""

import math
from typing import Any

import msgspec
import structlog

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import NotSignedIn, Refusal, SessionIsOver, TokenIsExpired
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import answers, idempotency
from tenfold.platform.http.answers import Answer
from tenfold.platform.http.doors import Client, Door
from tenfold.platform.http.gate import Gate, refuse_when_spent
from tenfold.platform.http.plan import Plan, plan_of
from tenfold.platform.http.problems import CONTENT_TYPE, InternalError, UnknownPath, document
from tenfold.platform.http.requests import ClientGone, decode_body, decode_query, must_fit, read_body
from tenfold.platform.limits.headers import limit_fields
from tenfold.platform.observe.logs import identify_actor
from tenfold.platform.parts import Parts

log = structlog.get_logger("tenfold.http")
Asker = tuple[Actor | None, Client]
_PRIVATE = (b"cache-control", b"private, no-cache")
_NO_STORE = (b"cache-control", b"no-store")
_BEYOND = 10**18  # a number of a path that no row can have
_BEARER = (b"www-authenticate", b"Bearer")


class Endpoint:
    """One door, ready to answer. Everything that does not change between requests is worked out once."""

    def __init__(self, door: Door, parts: Parts, gate: Gate) -> None:
        self.door = door
        self.plan: Plan = plan_of(door, parts)
        self._gate = gate
        self._db = parts.get(Database)
        self._cache = parts.get(Cache)
        self._decoder = None if self.plan.body is None else msgspec.json.Decoder(self.plan.body)
        self._cache_control = _PRIVATE if door.method == "GET" and door.limit != "sign_in" else _NO_STORE
        if door.public_for is not None:
            seconds = int(door.public_for.total_seconds())
            # Caches outside keep it apart from what somebody who is signed in sees at the same address.
            self._public = [
                (b"cache-control", b"public, max-age=%d" % seconds),
                (b"vary", b"accept-encoding, authorization" + (b", origin" if gate.policy.cors_origins else b"")),
            ]
        for_anybody = not self.plan.wants_actor and not self.plan.needs_actor
        self._is_for_strangers = for_anybody and door.limit in ("sign_in", "free")

    async def answer(self, scope: dict[str, Any], receive: Any) -> Answer:
        """Answer one request: refusals become problem documents, anything else unexpected becomes a logged 500."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        extra: answers.HeaderList = []
        try:
            return await self._admitted(scope, receive, headers, extra)
        except Refusal as refusal:
            return refused(refusal, scope, extra)
        except ClientGone:
            return Answer(499, [], b"")
        except Exception:
            log.exception("request failed", door=self.door.name)
            return refused(InternalError(), scope, extra)

    async def _admitted(
        self, scope: dict[str, Any], receive: Any, headers: dict[bytes, bytes], extra: answers.HeaderList
    ) -> Answer:
        door, gate = self.door, self._gate
        client = gate.client_of(scope, headers)
        try:
            actor = self._actor_of(headers)
            identify_actor(actor)
            gate.must_be_let_in(door, actor, needs_actor=self.plan.needs_actor)
        except NotSignedIn:
            # A guess at a token costs as much as any other call from that address.
            decision = await gate.charge(door, None, client)
            if decision is not None:
                extra += limit_fields(decision)
            refuse_when_spent(decision)
            raise
        decision = await gate.charge(door, actor, client)
        if decision is not None:
            extra += limit_fields(decision)
            refuse_when_spent(decision)
        if actor is None and door.public_for is not None:
            status, body, tag = await self._public_body(scope)
            return self._finish(Answer(status, [answers.JSON, *self._public, *extra], body), headers, tag)
        arguments = self._arguments(scope["path_params"], scope["query_string"])
        self._introduce(arguments, actor, client)
        raw = b""
        if self._decoder is not None:
            raw = await read_body(receive, headers, door.body_limit)
            arguments["data"] = decode_body(raw, self._decoder, headers)
        key = headers.get(b"idempotency-key") if door.idempotent else None
        if key is None:
            status, body = await self._run(arguments)
            replayed = False
        else:
            status, body, replayed = await self._run_once(self._key(key, scope, raw, (actor, client)), arguments)
        answer = Answer(status, [answers.JSON, self._cache_control, *extra] if body else [*extra], body)
        if replayed:
            answer.headers.append((b"idempotency-replayed", b"true"))
        return self._finish(answer, headers)

    async def call(self, parameters: dict[str, Any], query: bytes, body: bytes, *, asker: Asker) -> tuple[int, bytes]:
        """Answer a call whose asker is known, through the same gate as a request: a status and a body.

        Raises refusals, and whatever else goes wrong.
        """
        actor, client = asker
        identify_actor(actor)
        self._gate.must_be_let_in(self.door, actor, needs_actor=self.plan.needs_actor)
        refuse_when_spent(await self._gate.charge(self.door, actor, client))
        arguments = self._arguments(parameters, query)
        self._introduce(arguments, actor, client)
        if self._decoder is not None:
            must_fit(body, self.door.body_limit)
            arguments["data"] = decode_body(body, self._decoder, {})
        return await self._run(arguments)

    def _actor_of(self, headers: dict[bytes, bytes]) -> Actor | None:
        """Who asks. Where people sign in or renew, a token that was good once and is sent along is no hindrance."""
        try:
            return self._gate.actor_of(headers)
        except (TokenIsExpired, SessionIsOver):
            if self._is_for_strangers:
                return None
            raise

    def _arguments(self, parameters: dict[str, Any], query: bytes) -> dict[str, Any]:
        plan = self.plan
        arguments: dict[str, Any] = {name: parameters[name] for name in plan.path}
        if any(isinstance(value, int) and abs(value) >= _BEYOND for value in arguments.values()):
            raise UnknownPath
        if plan.query_names or query:
            values = decode_query(query, plan.query)
            for name in plan.query_names:
                arguments[name] = getattr(values, name)
        return arguments

    def _introduce(self, arguments: dict[str, Any], actor: Actor | None, client: Client) -> None:
        """Add who asks, where the door wants to know."""
        if self.plan.wants_actor:
            arguments["actor"] = actor
        if self.plan.wants_client:
            arguments["client"] = client

    def _key(self, text: bytes, scope: dict[str, Any], raw: bytes, asker: Asker) -> idempotency.Key:
        actor, client = asker
        principal = idempotency.principal_of(actor.id) if actor else f"address:{client.address}"
        return idempotency.key_of(text, principal=principal, route=self.door.name, path=scope["path"], body=raw)

    async def _run(self, arguments: dict[str, Any]) -> tuple[int, bytes]:
        plan = self.plan
        if plan.tx == "read":
            async with self._db.read() as tx:
                result = await plan.call(tx=tx, **arguments)
        elif plan.tx == "write":
            result = await self._db.transact(lambda tx: plan.call(tx=tx, **arguments))
        else:
            result = await plan.call(**arguments)
        return self._encoded(result)

    async def _run_once(self, key: idempotency.Key, arguments: dict[str, Any]) -> tuple[int, bytes, bool]:
        plan = self.plan
        if plan.tx != "write":
            return await idempotency.once_around(self._db, key, lambda: self._run(arguments))

        async def deed(tx: Write) -> tuple[int, bytes]:
            return self._encoded(await plan.call(tx=tx, **arguments))

        return await self._db.transact(lambda tx: idempotency.once(tx, key, deed))

    def _encoded(self, result: object) -> tuple[int, bytes]:
        if result is None:
            return 204, b""
        status = self.door.status
        return 200 if status == 204 else status, answers.encoder.encode(result)

    async def _public_body(self, scope: dict[str, Any]) -> tuple[int, bytes, bytes]:
        """The answer for whoever is not signed in, with its tag: both are kept, since many ask for the same."""
        arguments = self._arguments(scope["path_params"], scope["query_string"])
        key = (self.door.name, *arguments.values())
        if self.plan.wants_actor:
            arguments["actor"] = None

        async def made() -> tuple[int, bytes, bytes]:
            status, body = await self._run(arguments)
            return status, body, answers.entity_tag(body)

        if self.door.public_for is None:
            return await made()
        return await self._cache.get("public", key, made, ttl=self.door.public_for)

    def _finish(self, answer: Answer, headers: dict[bytes, bytes], tag: bytes | None = None) -> Answer:
        if self.door.etag and answer.status == 200:
            tag = tag or answers.entity_tag(answer.body)
            answer.headers.append((b"etag", tag))
            if_none_match = headers.get(b"if-none-match")
            if if_none_match is not None and answers.has_same(if_none_match, tag):
                answer.status, answer.body = 304, b""
                return answer
        if self._gate.policy.compression and self.door.limit != "sign_in":
            answers.compress(answer, headers.get(b"accept-encoding", b""))
        return answer


def refused(refusal: Refusal, scope: dict[str, Any], extra: answers.HeaderList) -> Answer:
    """The answer to a refused request, with the fields that its status asks for."""
    headers: answers.HeaderList = [(b"content-type", CONTENT_TYPE), _NO_STORE, *extra]
    if refusal.status == 401:
        headers.append(_BEARER)
    if refusal.retry_after is not None and not any(name == b"retry-after" for name, _ in extra):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after))))
    return Answer(refusal.status, headers, document(refusal, scope.get("request_id", "")))
