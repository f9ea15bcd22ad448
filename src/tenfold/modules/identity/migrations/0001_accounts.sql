-- tenfold: expand
-- Accounts, what they sign in with, and the devices that may speak for them.

create table users (
    user_id uuid primary key,
    email text not null,
    email_verified_at timestamptz,
    handle text not null,
    name text not null,
    bio text not null default '',
    avatar text,
    role text not null default 'user' check (role in ('user', 'moderator', 'admin')),
    tier smallint not null default 0 check (tier between 0 and 5),
    state text not null default 'active' check (state in ('active', 'deactivated', 'banned', 'erased')),
    ban_reason text,
    banned_until timestamptz,
    -- What a ban goes back to when it ends; null for everybody who is not banned.
    state_before_ban text check (state_before_ban in ('active', 'deactivated')),
    claims_version integer not null default 1,
    claims_changed_at timestamptz not null,
    created_at timestamptz not null
);
-- What a process reads when it starts: whose access tokens were outdated lately. New accounts are not in it.
create index users_claims_changed on users (claims_changed_at) where claims_version > 1;
create index users_banned_until on users (banned_until) where banned_until is not null;

-- Who owns an address. The key is the address with case and compatibility forms folded.
create table emails (
    email_key text primary key,
    user_id uuid not null,
    claimed_at timestamptz not null
);

-- Who owns a handle, by what it looks like, so that no two look alike. A row with `held_until` is given up, but kept for its
-- old owner until then. The row of an erased account holds a keyed digest in place of the handle, and is never given up.
create table handles (
    skeleton text primary key,
    handle text not null,
    user_id uuid not null,
    held_until timestamptz
);
create index handles_of_user on handles (user_id);

create table credentials (
    user_id uuid primary key,
    password_hash text not null,
    changed_at timestamptz not null
);

create table sessions (
    user_id uuid not null,
    session_id uuid not null,
    device text not null,
    user_agent text not null,
    address text not null,
    second_factor boolean not null,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_because text,
    primary key (user_id, session_id)
);
create index sessions_revoked on sessions (revoked_at) where revoked_at is not null;

-- The tokens of a session's family that may still be asked about: the one in use, and those replaced a moment ago.
create table refresh_tokens (
    user_id uuid not null,
    session_id uuid not null,
    generation integer not null,
    token_hash bytea not null,
    issued_at timestamptz not null,
    used_at timestamptz,
    primary key (user_id, session_id, generation),
    foreign key (user_id, session_id) references sessions on delete cascade
);

-- One-time codes that were mailed. The code itself is not here: it is this row's ids and a keyed digest of them.
create table codes (
    user_id uuid not null,
    code_id uuid not null,
    purpose text not null check (purpose in ('verify_email', 'reset_password', 'change_email_old', 'change_email_new')),
    email text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (user_id, code_id)
);

create table totp_factors (
    user_id uuid primary key,
    sealed_secret text not null,
    created_at timestamptz not null,
    confirmed_at timestamptz,
    last_step bigint not null default 0
);

create table recovery_codes (
    user_id uuid not null,
    code_hash bytea not null,
    used_at timestamptz,
    primary key (user_id, code_hash)
);
