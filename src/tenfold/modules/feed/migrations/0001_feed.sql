-- tenfold: expand
-- Feed's tables. Every one that grows with users belongs to one person, whose column comes first in each unique key. A fact
-- with two sides is two rows, one at each home. Ids are UUIDv7, so they order by time and serve as cursors.

-- What people wrote, at the author's home. A deleted post is an emptied row until the purge takes it.
create table posts (
    author_id uuid not null,
    post_id uuid not null,
    body text not null,
    visibility text not null check (visibility in ('public', 'followers')),
    lang text,
    reply_to_author_id uuid,
    reply_to_id uuid,
    root_author_id uuid,
    root_id uuid,
    repost_of_author_id uuid,
    repost_of_id uuid,
    quote_of_author_id uuid,
    quote_of_id uuid,
    created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    primary key (author_id, post_id)
);
create index posts_deleted on posts (deleted_at) where deleted_at is not null;

-- Earlier versions of a post: what it said, since when.
create table post_edits (
    author_id uuid not null,
    post_id uuid not null,
    edit_id uuid not null,
    body text not null,
    lang text,
    written_at timestamptz not null,
    primary key (author_id, post_id, edit_id)
);

-- What others did with a post, at the post's home. These rows are what the counters must agree with.
create table likes (
    author_id uuid not null,
    post_id uuid not null,
    user_id uuid not null,
    like_id uuid not null,
    primary key (author_id, post_id, user_id)
);
create index likes_newest on likes (author_id, post_id, like_id);

create table replies (
    author_id uuid not null,
    post_id uuid not null,
    reply_id uuid not null,
    replier_id uuid not null,
    primary key (author_id, post_id, reply_id)
);

create table quotes (
    author_id uuid not null,
    post_id uuid not null,
    quote_id uuid not null,
    quoter_id uuid not null,
    primary key (author_id, post_id, quote_id)
);

create table reposts (
    author_id uuid not null,
    post_id uuid not null,
    repost_id uuid not null,
    reposter_id uuid not null,
    primary key (author_id, post_id, repost_id)
);

-- What one did oneself, at one's own home: the viewer state of a timeline is read from here.
create table user_likes (
    user_id uuid not null,
    post_id uuid not null,
    author_id uuid not null,
    like_id uuid not null,
    primary key (user_id, post_id)
);
create index user_likes_newest on user_likes (user_id, like_id);

create table user_reposts (
    user_id uuid not null,
    post_id uuid not null,
    author_id uuid not null,
    repost_id uuid not null,
    primary key (user_id, post_id)
);

create table bookmarks (
    user_id uuid not null,
    post_id uuid not null,
    author_id uuid not null,
    bookmark_id uuid not null,
    primary key (user_id, post_id)
);
create index bookmarks_newest on bookmarks (user_id, bookmark_id);

-- Who follows whom, at both homes; `follow_id` orders the lists.
create table follows (
    follower_id uuid not null,
    followee_id uuid not null,
    follow_id uuid not null,
    primary key (follower_id, followee_id)
);
create index follows_newest on follows (follower_id, follow_id);

create table followers (
    user_id uuid not null,
    follower_id uuid not null,
    follow_id uuid not null,
    primary key (user_id, follower_id)
);
create index followers_newest on followers (user_id, follow_id);

-- A block as its two people see it: `out` at the home of who blocks, `in` at the home of who is blocked.
create table blocks (
    user_id uuid not null,
    other_id uuid not null,
    side text not null check (side in ('out', 'in')),
    created_at timestamptz not null,
    primary key (user_id, other_id, side)
);

create table mutes (
    user_id uuid not null,
    muted_id uuid not null,
    until timestamptz,
    created_at timestamptz not null,
    primary key (user_id, muted_id)
);

-- Counters: a base, and what came since. A deed only ever inserts a delta, so no two deeds wait for one row; a reader adds
-- both in one statement, and a job folds deltas into the base. The delta tables are nearly empty most of the time; they are
-- not cut back to no pages at all, because a plan made at such a moment would scan them, and be kept when they fill again.
create table post_counts (
    author_id uuid not null,
    post_id uuid not null,
    likes integer not null,
    reposts integer not null,
    quotes integer not null,
    replies integer not null,
    primary key (author_id, post_id)
) with (fillfactor = 80);

create table post_count_deltas (
    author_id uuid not null,
    post_id uuid not null,
    delta_id uuid not null,
    likes integer not null default 0,
    reposts integer not null default 0,
    quotes integer not null default 0,
    replies integer not null default 0,
    primary key (author_id, post_id, delta_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);

create table user_counts (
    user_id uuid not null primary key,
    posts integer not null,
    followers integer not null,
    following integer not null
) with (fillfactor = 80);

create table user_count_deltas (
    user_id uuid not null,
    delta_id uuid not null,
    posts integer not null default 0,
    followers integer not null default 0,
    following integer not null default 0,
    primary key (user_id, delta_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off);

-- Home timelines of those who were here lately. While a home is active and not stale, its entries hold every post by those
-- whom the reader follows (and the reader), pulled authors aside, from `floor_id` on; below it, posts are pulled at read.
create table homes (
    user_id uuid not null primary key,
    active boolean not null,
    stale boolean not null,
    floor_id uuid not null,
    active_at timestamptz not null
) with (fillfactor = 80);
create index homes_idle on homes (active_at) where active;

create table home_entries (
    user_id uuid not null,
    post_id uuid not null,
    author_id uuid not null,
    primary key (user_id, post_id) include (author_id)
);

-- Authors with too many followers to push to: readers pull their posts. Once here, always here.
create table pulled_authors (
    author_id uuid not null primary key
);

-- Authors whom nobody may see at present, as identity says.
create table hidden_authors (
    author_id uuid not null primary key
);

-- The newest public posts of everybody, capped by a job: what the public timeline is read from.
create table public_posts (
    post_id uuid not null primary key,
    author_id uuid not null
);
