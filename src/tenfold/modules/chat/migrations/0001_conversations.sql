-- tenfold: expand
-- Chat's tables. A conversation and all that hangs on it is at home at the conversation; what one person decides for
-- themselves alone (mute, hide, archive), and the list of one's conversations, is at home at the person.
--
-- Two numbers run through a conversation without gaps. `seq` numbers its messages. A *change* is anything durable that
-- its members see (a message sent, edited, deleted, reacted to or pinned; a member who came, went or got another role; a
-- new title; history that was cut off): it takes the next `last_change`, and writes it as `change_no` into each row that
-- it touched. So the rows with `change_no > n` are what somebody who knows the state at change n has missed, and
-- `last_change` is the offset of the live channel `conversation:{id}`.

create table conversations (
    conversation_id uuid not null primary key,
    kind text not null check (kind in ('direct', 'group', 'channel')),
    title text,
    topic text,
    -- Who may come in: whoever is invited, or everybody.
    access text not null default 'invited' check (access in ('invited', 'open')),
    -- Who may write: every member, or owners and admins.
    posting text not null default 'members' check (posting in ('members', 'admins')),
    creator_id uuid not null,
    created_at timestamptz not null,
    -- The two people of a direct conversation.
    one_id uuid,
    other_id uuid,
    -- A direct conversation across a block takes no messages.
    is_blocked boolean not null default false,
    -- Counted for direct conversations and groups; a channel is not written to by each who joins.
    member_count integer not null default 0,
    -- The number of the latest message, of the latest change, and of the latest change of this row itself.
    last_seq bigint not null default 0,
    last_change bigint not null default 0,
    change_no bigint not null default 0,
    last_message_at timestamptz not null,
    -- The first message that retention has left; those up to `archived_seq` may be in the archive, and the latest change
    -- of an archived row is `archived_change`.
    first_seq bigint not null default 1,
    archived_seq bigint not null default 0,
    archived_change bigint not null default 0,
    slow_mode_seconds integer not null default 0,
    retention_days integer
) with (fillfactor = 70);
create index conversations_retained on conversations (conversation_id) where retention_days is not null;

-- Who is in a conversation. The markers are "up to": `read_seq` is what the person knows to have read, `shown_seq` what
-- others are told of it, `sent_seq` the latest message of their own.
create table members (
    conversation_id uuid not null,
    user_id uuid not null,
    state text not null check (state in ('invited', 'joined', 'left', 'removed')),
    role text not null default 'member' check (role in ('owner', 'admin', 'member')),
    inviter_id uuid,
    since timestamptz not null,
    read_seq bigint not null default 0,
    shown_seq bigint not null default 0,
    delivered_seq bigint not null default 0,
    sent_seq bigint not null default 0,
    is_marked_unread boolean not null default false,
    last_sent_at timestamptz,
    change_no bigint not null default 0,
    primary key (conversation_id, user_id)
) with (fillfactor = 70);
create index members_changed on members (conversation_id, change_no) where change_no > 0;

-- The same membership at the person's home, with what they decided for themselves. A conversation hidden at
-- `hidden_seq` is shown again when a later message comes.
create table memberships (
    user_id uuid not null,
    conversation_id uuid not null,
    kind text not null,
    state text not null check (state in ('invited', 'joined')),
    is_archived boolean not null default false,
    hidden_seq bigint not null default -1,
    is_muted boolean not null default false,
    muted_until timestamptz,
    primary key (user_id, conversation_id)
);

-- What was said. A deleted message is an emptied row. `sender_id` is null once its writer is erased. `reactions` counts
-- them by emoji, `thread_size` the answers under a thread's root. `revision` counts the changes since it was sent: a
-- message that never changed is found by its seq, one that did by its change, so sending writes no index for it.
create table messages (
    conversation_id uuid not null,
    seq bigint not null,
    sender_id uuid,
    client_msg_id text,
    kind text not null default 'text' check (kind in ('text', 'notice')),
    body text not null,
    attachments jsonb,
    mentions uuid[],
    reply_to bigint,
    thread_root bigint,
    thread_size integer not null default 0,
    thread_last_seq bigint,
    reactions jsonb,
    notice jsonb,
    created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    pinned_at timestamptz,
    pinned_by uuid,
    change_no bigint not null,
    revision integer not null default 0,
    primary key (conversation_id, seq)
) with (fillfactor = 90);
create unique index messages_sent_once on messages (conversation_id, sender_id, client_msg_id);
create index messages_changed on messages (conversation_id, change_no) where revision > 0;
-- Messages that nobody has to read: the unread count is a difference of numbers without these.
create index messages_uncounted on messages (conversation_id, seq) where kind = 'notice' or deleted_at is not null;
create index messages_thread on messages (conversation_id, thread_root, seq) where thread_root is not null;
create index messages_pinned on messages (conversation_id, pinned_at) where pinned_at is not null;
-- For what looks for old messages: almost free to write.
create index messages_age on messages using brin (created_at) with (autosummarize = on);

create table message_edits (
    conversation_id uuid not null,
    seq bigint not null,
    edit_id uuid not null,
    body text not null,
    written_at timestamptz not null,
    primary key (conversation_id, seq, edit_id)
);

-- Whom a message names: one row for each, so that mentions after a marker are counted without looking at messages.
create table mentions (
    conversation_id uuid not null,
    user_id uuid not null,
    seq bigint not null,
    primary key (conversation_id, user_id, seq)
);

create table reactions (
    conversation_id uuid not null,
    seq bigint not null,
    user_id uuid not null,
    emoji text not null,
    reaction_id uuid not null,
    primary key (conversation_id, seq, user_id, emoji)
);
create index reactions_newest on reactions (conversation_id, seq, emoji, reaction_id);

-- Up to where somebody has read a thread.
create table thread_reads (
    conversation_id uuid not null,
    user_id uuid not null,
    thread_root bigint not null,
    read_seq bigint not null,
    primary key (conversation_id, user_id, thread_root)
);
