"""Documentation that cannot lie: what the assembly holds and what the pages say are the same."""

import re
from collections.abc import Iterator
from pathlib import Path

from tenfold.assembly import MODULES
from tenfold.entry.reference import markdown

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_event_job_refusal_and_door_is_in_the_reference() -> None:
    """The page is generated; `make docs` writes it anew."""
    assert (DOCS / "reference.md").read_text() == markdown()


def test_every_declared_thing_says_what_it_is() -> None:
    """A name without a sentence is half a declaration."""
    silent = [
        *(door.name for module in MODULES for door in module.doors() if not door.description),
        *(job.name for module in MODULES for job in module.all_jobs() if not job.description),
        *(fact.__name__ for module in MODULES for fact in module.facts() if not fact.__doc__),
        *(one.pattern for module in MODULES for one in module.channels() if not one.may_listen.__doc__),
        *(refusal.code() for module in MODULES for refusal in module.refusals() if not refusal.title()),
    ]

    assert silent == []


def test_pages_name_only_files_that_exist() -> None:
    """A tour with a closed door in it is worse than none. (One page is about files that its reader will make.)"""
    pages = {ROOT / "README.md", ROOT / "bench/README.md", *DOCS.rglob("*.md")} - {DOCS / "add-a-module.md"}
    named = [(page.name, place) for page in sorted(pages) for place in _named(page)]

    assert len(named) > 50
    assert [(page, str(place)) for page, place in named if not place.exists()] == []


def _named(page: Path) -> Iterator[Path]:
    """The files that a page names: from the root of the repository, or by a link from where it is."""
    text = page.read_text()
    yield from (ROOT / path for path in re.findall(r"`((?:src|tests|docs|bench|scripts)/[\w/.-]+)`", text))
    yield from (page.parent / path for path in re.findall(r"\]\((?!http)([\w/.-]+)\)", text))
