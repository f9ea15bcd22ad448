-- tenfold: expand
-- When somebody last gave a sign of life on any device, to the half minute: connected without one, they are idle.
create table activity (
    user_id uuid not null primary key,
    active_at timestamptz not null
) with (fillfactor = 70);
