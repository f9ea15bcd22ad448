"""What identity brings to the house."""

from tenfold.modules.identity import errors, events, jobs
from tenfold.modules.identity.actions.archive import export
from tenfold.modules.identity.api import accounts, admin, factors, me, realtime, sessions, users
from tenfold.modules.identity.queries import accounts as account_queries
from tenfold.modules.identity.queries import secrets as secret_queries
from tenfold.modules.identity.queries import sessions as session_queries
from tenfold.platform.module import Module

module = Module(
    name="identity",
    package="tenfold.modules.identity",
    api=(accounts, sessions, me, factors, users, realtime, admin),
    jobs=jobs,
    queries=(account_queries, session_queries, secret_queries),
    events=events,
    errors=errors,
    homes={
        "users": "user_id",
        "credentials": "user_id",
        "sessions": "user_id",
        "refresh_tokens": "user_id",
        "codes": "user_id",
        "totp_factors": "user_id",
        "recovery_codes": "user_id",
        "emails": "reference",
        "handles": "reference",
    },
    costs={
        "POST /accounts": 40.0,
        "POST /sessions": 40.0,
        "POST /sessions/refresh": 6.0,
        "GET /me/export": 20.0,
    },
    export=export,
)
