"""The contents: every part and module that brings tables, doors, jobs or statements."""

from collections.abc import Iterable

from tenfold.modules.chat.manifest import module as chat
from tenfold.modules.feed.manifest import module as feed
from tenfold.modules.identity.manifest import module as identity
from tenfold.platform.audit.manifest import module as audit
from tenfold.platform.bus.manifest import module as bus
from tenfold.platform.db import Source
from tenfold.platform.db.manifest import module as db
from tenfold.platform.http.manifest import module as http
from tenfold.platform.jobs.manifest import module as jobs
from tenfold.platform.module import Module

MODULES: tuple[Module, ...] = (db, bus, jobs, audit, http, identity, feed, chat)
"""Everything that brings tables, doors, jobs or statements: the platform, then modules from the lowest floor up."""


def migration_sources(modules: Iterable[Module] = MODULES) -> list[Source]:
    """The migrations of every part and module, in the order in which they are applied."""
    return [Source(module.name, module.migrations) for module in modules if module.migrations is not None]
