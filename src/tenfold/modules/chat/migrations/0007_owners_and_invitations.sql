-- tenfold: expand concurrently
-- Who comes looks whether somebody owns the place, and who invites how many invitations wait there already, however
-- many members a channel has; and how many wait for one person, however much they are in.
create index concurrently if not exists members_owners on members (conversation_id) where role = 'owner';
create index concurrently if not exists members_invited on members (conversation_id) where state = 'invited';
create index concurrently if not exists memberships_invited on memberships (user_id) where state = 'invited';
