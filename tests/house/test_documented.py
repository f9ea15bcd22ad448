"""Documentation that cannot lie: what the assembly holds and what the pages say are the same."""

import re
from pathlib import Path

from tenfold.assembly import MODULES
from tenfold.entry.reference import markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_every_event_job_refusal_and_door_is_in_the_reference() -> None:
    """The page is generated; `make docs` writes it anew."""
    assert (DOCS / "reference.md").read_text() == markdown()


def test_every_declared_thing_says_what_it_is() -> None:
    """A name without a sentence is half a declaration."""
    silent = [
        *(door.name for module in MODULES for door in module.doors() if not door.description),
        *(job.name for module in MODULES for job in module.all_jobs() if not job.description),
        *(fact.__name__ for module in MODULES for fact in module.facts() if not fact.__doc__),
        *(refusal.code() for module in MODULES for refusal in module.refusals() if not refusal.title()),
    ]

    assert silent == []


def test_the_tour_names_only_files_that_exist() -> None:
    """A tour with a closed door in it is worse than none."""
    root = DOCS.parent
    named = re.findall(r"`((?:src|tests|docs|bench|scripts)/[\w/.-]+)`", (DOCS / "tour.md").read_text())

    assert len(named) > 10
    assert [path for path in named if not (root / path).exists()] == []
