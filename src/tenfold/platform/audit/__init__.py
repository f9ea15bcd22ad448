"""Audit: an append-only, hash-chained log of sensitive deeds.

A deed appends in its own transaction; a clock seals what was appended into the chain within a second or so, so that
deeds never queue behind one another for the chain's end. Sealed lines cannot be changed without `verify` naming the
first one that was.

    await audit.append(tx, "billing.plan_changed", actor_id=admin.id, subject_id=user_id, details=..., address=address)
"""

from tenfold.platform.audit.log import append, list_lines, seal, verify
from tenfold.platform.audit.shapes import Broken, Head, Line, Verdict

__all__ = ["Broken", "Head", "Line", "Verdict", "append", "list_lines", "seal", "verify"]
