-- Times are microseconds since 1970-01-01T00:00:00Z. Text is compared byte by byte, the
-- only collation used here. Lists are JSON text.

create table channels (
    id            text not null,
    integrator    text not null,
    name          text not null,
    enabled       integer not null,
    senders       text not null,
    public_url    text,
    signing_token blob,
    created_at    integer not null,
    updated_at    integer not null,
    version       integer not null,
    -- One channel an id; the order in which channels are read.
    constraint channels_id_pkey primary key (id)
) strict;

create table channel_credentials (
    id           blob not null,
    channel_id   text not null,
    webhook_user text not null,
    hash         blob not null,
    key_id       integer not null,
    label        text,
    created_at   integer not null,
    expires_at   integer,
    last_used_at integer,
    -- The id names one credential when it is removed or noted as used.
    constraint channel_credentials_id_pkey primary key (id),
    -- A credential without its channel would prove callers of nothing.
    constraint channel_credentials_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- The credentials of one channel: reading it, counting its live ones, removing it.
create index channel_credentials_channel_id_idx on channel_credentials (channel_id);

-- Counts the changes to both tables above. Every change raises it in its own
-- transaction, so whoever sees the number sees the change.
create table channel_directory (
    only_row integer not null default 1,
    revision integer not null,
    constraint channel_directory_only_row_pkey primary key (only_row),
    -- A second row would let two changes raise two numbers.
    constraint channel_directory_only_row_check check (only_row = 1)
) strict;

insert into channel_directory (revision) values (0);

-- How often each channel was called without success; written about once a second. Not in
-- `channels`, whose rows every receiver reads whole.
create table channel_calls (
    channel_id      text not null,
    challenged      integer not null,
    refused         integer not null,
    rejected        integer not null,
    last_refused_at integer,
    -- One row a channel.
    constraint channel_calls_channel_id_pkey primary key (channel_id),
    -- A channel that is added again begins from zero.
    constraint channel_calls_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- One row a message: its state as its reports tell it.
--
-- Not `without rowid`: rows are appended in the order messages are first heard of, and the
-- reports of a message come within minutes, so a batch changes a few pages at the end of the
-- table. Clustered by key, every message of the batch would change a page of its own, at
-- every one of its reports.
create table messages (
    channel_id             text not null,
    sid                    blob not null, -- domain's MessageSid::to_compact
    recipient              text not null,
    sender                 text not null,
    first_reported_at      integer not null,
    last_reported_at       integer not null,
    duplicates             integer not null,
    seen_mask              integer not null, -- domain's SeenReports
    status_rank            integer, -- domain's DeliveryStatus::rank, the highest reported
    accepted_at            integer,
    scheduled_at           integer,
    queued_at              integer,
    sending_at             integer,
    sent_at                integer,
    partially_delivered_at integer,
    canceled_at            integer,
    failed_at              integer,
    undelivered_at         integer,
    delivered_at           integer,
    read_at                integer,
    -- Its reports in the log, in the order of their revisions: the log has no index to find
    -- them by.
    report_ids             text not null,
    seen_fingerprints      text,
    error_at               integer,
    error_code             text,
    error_text             text,
    -- One row a message, which a batch finds and changes.
    constraint messages_channel_id_sid_pkey primary key (channel_id, sid)
) strict;

-- The list of messages, the one first heard of last first; retention.
create index messages_first_reported_at_idx on messages (first_reported_at);

-- The log of reports: written once and never changed. It has no index but its key: what is
-- new is decided by the row of the message.
create table reports (
    -- Reports are found by the ids that the row of their message holds. `autoincrement`:
    -- no id comes again, not even when the newest rows are removed.
    id                integer not null constraint reports_id_pkey primary key autoincrement,
    channel_id        text not null,
    sid               blob not null,
    revision          integer not null,
    effect            text not null,
    status            text not null,
    recipient         text not null,
    sender            text not null,
    arrived_at        integer not null,
    credential_id     blob not null, -- may be gone: evidence, no reference
    error_code        text,
    error_text        text,
    idempotency_token text,
    fields            text not null, -- a JSON object
    -- No report is as large; one that is must not slow down everybody who reads the log.
    constraint reports_fields_size_check check (length(cast(fields as blob)) <= 262144)
) strict;

create table rejections (
    -- The order of the log, and the cursor of its list, which must not come again.
    id         integer not null constraint rejections_id_pkey primary key autoincrement,
    arrived_at integer not null,
    channel_id text not null,
    integrator text not null,
    reason     text not null,
    detail     text not null,
    fields     text not null -- a JSON array of names and masked values
) strict;

-- The rejections of one channel, newest first; which of them are too old to keep.
create index rejections_channel_id_id_idx on rejections (channel_id, id);
