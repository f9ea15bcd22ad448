"""Events: facts about what happened, published in the writer's transaction, delivered at least once to each follower.

A fact has followers (`@after(Fact)` in a module's `jobs.py`); each follower is a job of its own, so that one that fails
delays no other. The engines are those of `platform.jobs`.
"""

from typing import ClassVar

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened. Subclasses are named in the past tense and carry plain values.

    `version` rises when the meaning of the fields changes. A field may be added with a default, never renamed.
    `tenant` (optional, set it to a field's name) says whose fair share of the workers the followers use.
    """

    version: ClassVar[int] = 1
    tenant: ClassVar[str | None] = None
