"""What the OpenAPI document says is what the doors do: schemathesis asks every one of them, well and badly."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tenfold.platform.observe import metrics
from tests.world import Person, World

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
# The whole document is gone through as a user; a visitor meets mostly 401, and an administrator differs by few doors.
SHARES = {
    "visitor": ("--phases", "fuzzing", "--max-examples", "3"),
    "ana": ("--phases", "coverage,fuzzing", "--max-examples", "2"),
    "admin": ("--phases", "coverage,fuzzing", "--max-examples", "5", "--include-path-regex", "/admin/"),
}
# These would sign the asker out, and every later answer would be 401.
ENDING = ("end_all_sessions", "end_current_session", "end_other_sessions", "end_session")


@pytest.mark.parametrize(("kind", "at_least"), [("visitor", 3), ("ana", 25), ("admin", 6)])
async def test_every_door_answers_as_documented(world: World, tmp_path: Path, kind: str, at_least: int) -> None:
    """No error of ours, no undocumented status, content type or shape, for whoever asks and whatever they send."""
    asker = getattr(world, kind)
    before = doors_that_did_their_work()

    code, said = await schemathesis(world.url, asker.token, SHARES[kind], folder=tmp_path)

    assert code == 0, said
    # A run that was refused everywhere would prove nothing.
    done = {door for door, count in doors_that_did_their_work().items() if count > before.get(door, 0)}
    assert len(done) >= at_least, done
    assert asker.token is None or await still_signed_in(asker)


async def still_signed_in(asker: Person) -> bool:
    """Whether the session is alive. The access token may be outdated: administrators are offered their own, too."""
    renewed = await asker.post("/v1/sessions/refresh", {"refresh_token": asker.refresh_token})
    return renewed.status == 200


async def schemathesis(url: str, token: str | None, share: tuple[str, ...], *, folder: Path) -> tuple[int, str]:
    """Run it in a process of its own, with the same inputs every time: its exit code, and what it found."""
    as_somebody = ("--header", f"Authorization: Bearer {token}") if token else ()
    kept_out = [word for name in ENDING for word in ("--exclude-operation-id", f"identity_{name}")] if token else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{url}/openapi.json", "--url", url),
        *("--checks", ",".join(CHECKS), "--generation-deterministic", "--no-shrink", "--warnings", "off"),
        *("--workers", "1", "--request-timeout", "10", *share, *as_somebody, *kept_out),
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def doors_that_did_their_work() -> dict[str, float]:
    """How often each door has answered 2xx in this process."""
    counts: dict[str, float] = {}
    for metric in metrics.requests.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total") and sample.labels["status"].startswith("2"):
                counts[sample.labels["door"]] = counts.get(sample.labels["door"], 0) + sample.value
    return counts
