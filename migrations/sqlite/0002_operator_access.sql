-- Named tokens of operators, their browser sessions, and the audit log.

-- Few rows, read with every request to the operator's API. The bootstrap token
-- (RECEIPTD_ADMIN_TOKEN) is not among them.
create table operator_tokens (
    id           blob not null,
    name         text not null,
    hash         blob not null, -- SHA-256; the token itself is not stored
    role         text not null, -- domain's Role
    can_reveal   integer not null,
    can_audit    integer not null,
    created_at   integer not null,
    expires_at   integer, -- null: never
    last_used_at integer, -- written once a minute at most
    revoked_at   integer, -- null: not revoked
    -- Finds the token of a session, and the one to revoke. Ids are in the order of the list.
    constraint operator_tokens_id_pkey primary key (id),
    -- Finds the token of a request.
    constraint operator_tokens_hash_key unique (hash)
) strict;

-- The audit log names operators by their token: two valid tokens must not have one name. The name
-- of a revoked token can be used again, so that a token can be replaced.
create unique index operator_tokens_name_idx on operator_tokens (name) where revoked_at is null;

-- Browser sessions. Rows live for twelve hours at most, and are removed soon after.
create table operator_sessions (
    id           blob not null,
    hash         blob not null, -- SHA-256 of the key in the browser's cookie
    -- The token it was started with. No foreign key: the bootstrap token has no row.
    token_id     blob not null,
    started_at   integer not null,
    last_used_at integer not null, -- written once a minute at most
    expires_at   integer not null,
    source       text not null, -- the address it was started from
    -- Finds the session to end. Ids are in the order of the list.
    constraint operator_sessions_id_pkey primary key (id),
    -- Finds the session of a request.
    constraint operator_sessions_hash_key unique (hash)
) strict;

-- Ends the sessions of a token.
create index operator_sessions_token_id_idx on operator_sessions (token_id);

-- What operators changed and saw. Written once and removed by retention. Contains no personal
-- data of recipients and no secret.
create table audit_log (
    id       blob not null,
    at       integer not null,
    operator text not null, -- domain's OperatorName: a token may be gone
    action   text not null, -- domain's AuditAction
    object   text, -- id of what it was done to
    details  text,
    source   text, -- address of the request; null: the command line
    -- The order of the list. Filters other than the cursor examine the rows: there are few.
    constraint audit_log_id_pkey primary key (id)
) strict;

-- Retention, which removes the oldest entries.
create index audit_log_at_idx on audit_log (at);
