"""The trail: how a sensitive deed gets its line in the audit log, and what a notice about it is sent for."""

from typing import Any
from uuid import UUID

from tenfold.platform import audit
from tenfold.platform.db import Write


async def note(
    tx: Write,
    deed: str,
    user_id: UUID,
    *,
    by: UUID | None = None,
    by_command: bool = False,
    address: str | None = None,
    **details: Any,
) -> None:
    """Write down what was done to whose account, and by whom: `by`, somebody at the machine, or else the owner."""
    actor_id = None if by_command else by or user_id
    await audit.append(tx, f"identity.{deed}", actor_id=actor_id, subject_id=user_id, details=details, address=address)
