"""The size and naming laws of the code base, read from its syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
EVERY_FILE = [path for folder in ("src", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]
LINES_PER_FILE = 400
LINES_PER_FUNCTION = 60
POSITIONAL_PARAMETERS = 4
FORBIDDEN_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "data",
    "info",
    "process",
    "handle",
    "misc",
}


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    """The ugliness of a code base sits in its longest files."""
    assert len(path.read_text().splitlines()) <= LINES_PER_FILE


def test_a_function_has_at_most_60_lines() -> None:
    """Most fit in 15; over 40 deserves another look; 60 is the ceiling."""
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in EVERY_FILE
        for function in functions_of(path)
        if (function.end_lineno or 0) - function.lineno + 1 > LINES_PER_FUNCTION
    ]

    assert long == []


def test_a_function_takes_at_most_four_positional_parameters() -> None:
    """The rest are keyword-only, so that a call can be read."""
    wide = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in SOURCES
        for function in functions_of(path)
        if len([a for a in function.args.posonlyargs + function.args.args if a.arg not in ("self", "cls")])
        > POSITIONAL_PARAMETERS
        and not _is_door(function)
    ]

    assert wide == []


def _is_door(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Doors, jobs and channels are called by name, from their declaration."""
    return bool(function.decorator_list)


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_owns(path: Path) -> None:
    """Every file opens with one to three sentences, unless it is empty."""
    text = path.read_text()

    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_no_file_or_function_has_a_name_that_says_nothing() -> None:
    """`utils` is where meaning goes to hide."""
    files = [path for path in SOURCES if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES]
    functions = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in SOURCES
        for function in functions_of(path)
        if function.name.strip("_") in FORBIDDEN_NAMES
    ]

    assert files == []
    assert functions == []
