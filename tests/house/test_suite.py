"""The suite itself is honest: every test says why it is there, none is put off, waits idly or talks to a mock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
LONGEST_SLEEP = 1.0
PUT_OFF = {"skip", "skipif", "xfail", "importorskip", "flaky"}
MOCKS = {"mock", "unittest.mock", "pytest_mock", "asynctest", "respx", "responses", "freezegun", "time_machine"}
# What sleeps here is what is tested: somebody who takes too long, and is given up. The test does not wait for it.
SLUGGARDS = {"platform/test_health.py", "platform/jobs_world.py", "platform/test_mail.py"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield str(path.relative_to(TESTS)), ast.parse(path.read_text())


def name_of(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_every_test_says_why_it_is_there() -> None:
    """The name says what happens; only the docstring says why anybody should care."""
    silent = [
        f"{file}:{node.lineno} {node.name}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_test_is_put_off() -> None:
    """What is skipped or expected to fail is a wish; it is mended or deleted."""
    put_off = [
        f"{file}:{node.lineno} {ast.unparse(node)}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in PUT_OFF
        and name_of(node.value) in ("pytest", "mark", "unittest")
    ]

    assert put_off == []


def test_no_test_waits_idly() -> None:
    """A sleep is either too long or too short; waiting for what must come true is neither."""
    idle = [
        f"{file}:{node.lineno} {ast.unparse(node)}"
        for file, tree in trees()
        if file not in SLUGGARDS
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) == "sleep" and node.args
        for span in node.args[:1]
        if isinstance(span, ast.Constant) and isinstance(span.value, int | float) and span.value > LONGEST_SLEEP
    ]

    assert idle == []


def test_nobody_is_mocked() -> None:
    """Twins and real servers: a mock agrees with whatever its author believed."""
    mocks = [
        f"{file} {module}"
        for file, tree in trees()
        for node in ast.walk(tree)
        for module in _imported(node)
        if module in MOCKS or module.partition(".")[0] in MOCKS
    ]

    assert mocks == []


@pytest.mark.parametrize("file", sorted(SLUGGARDS))
def test_the_exceptions_are_still_needed(file: str) -> None:
    """The list of those who may sleep only shrinks."""
    assert "sleep(" in (TESTS / file).read_text()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
