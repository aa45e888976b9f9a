-- Text that is compared or sorted has collate "C": the order of bytes, which is the
-- order the program compares by and the same on every server.

create table channels (
    id            text collate "C" not null,
    integrator    text not null,
    name          text not null,
    enabled       boolean not null,
    senders       text[] not null,
    public_url    text,
    signing_token bytea,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    version       bigint not null,
    -- One channel an id; the order in which channels are read.
    constraint channels_id_pkey primary key (id)
);

create table channel_credentials (
    id           uuid not null,
    channel_id   text collate "C" not null,
    webhook_user text not null,
    hash         bytea not null,
    key_id       bigint not null,
    label        text,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    -- The id names one credential when it is removed or noted as used.
    constraint channel_credentials_id_pkey primary key (id),
    -- A credential without its channel would prove callers of nothing.
    constraint channel_credentials_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);

-- The credentials of one channel: reading it, counting its live ones, removing it.
create index channel_credentials_channel_id_idx on channel_credentials (channel_id);

-- Counts the changes to both tables above. Every change raises it in its own
-- transaction, so whoever sees the number sees the change.
create table channel_directory (
    only_row boolean not null default true,
    revision bigint not null,
    constraint channel_directory_only_row_pkey primary key (only_row),
    -- A second row would let two changes raise two numbers.
    constraint channel_directory_only_row_check check (only_row)
);

insert into channel_directory (revision) values (0);

-- How often each channel was called without success; written about once a second. Not in
-- `channels`, whose rows every receiver reads whole.
create table channel_calls (
    channel_id      text not null,
    challenged      bigint not null,
    refused         bigint not null,
    rejected        bigint not null,
    last_refused_at timestamptz,
    -- One row a channel.
    constraint channel_calls_channel_id_pkey primary key (channel_id),
    -- A channel that is added again begins from zero.
    constraint channel_calls_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);

-- One row a message: its state as its reports tell it.
--
-- What never changes stands first: an update logs the bytes between the first and the
-- last that differ. An update stays on its page and touches no index (HOT) because no
-- column that changes with a report is indexed, and because pages are filled by half: the
-- messages of a campaign lie side by side and are reported on together, so a batch may
-- write every row of a page anew. An index on such a column would be written, and logged
-- as a whole page after every checkpoint, at nearly every report.
create table messages (
    channel_id            text collate "C" not null,
    sid                   bytea not null, -- domain's MessageSid::to_compact
    recipient             text collate "C" not null,
    sender                text collate "C" not null,
    first_reported_at     timestamptz not null,
    last_reported_at      timestamptz not null,
    duplicates            bigint not null,
    seen_mask             integer not null, -- domain's SeenReports
    status_rank           smallint, -- domain's DeliveryStatus::rank, the highest reported
    -- For the statement that writes the row, which tells by it what to log; nothing else
    -- reads it. The rank before the last batch, -1 if there was none; null if nothing in
    -- that batch was new.
    previous_rank         smallint,
    accepted_at           timestamptz,
    scheduled_at          timestamptz,
    queued_at             timestamptz,
    sending_at            timestamptz,
    sent_at               timestamptz,
    partially_delivered_at timestamptz,
    canceled_at           timestamptz,
    failed_at             timestamptz,
    undelivered_at        timestamptz,
    delivered_at          timestamptz,
    read_at               timestamptz,
    -- Its reports in the log, in the order of their revisions: the log has no index to
    -- find them by.
    report_ids            bigint[] not null,
    seen_fingerprints     bigint[],
    error_at              timestamptz,
    error_code            text collate "C",
    error_text            text collate "C",
    -- One row a message, which the upsert finds and whose lock orders racing writers.
    constraint messages_channel_id_sid_pkey primary key (channel_id, sid)
) with (fillfactor = 50);

-- The list of messages, the one first heard of last first; retention.
create index messages_first_reported_at_idx on messages (first_reported_at);

-- The log of reports: written once and never changed. It has no index but its key: what is
-- new is decided by the row of the message.
create table reports (
    id                bigint not null,
    arrived_at        timestamptz not null,
    credential_id     uuid not null, -- may be gone: evidence, no reference
    revision          integer not null,
    channel_id        text not null,
    sid               bytea not null,
    status            text not null,
    effect            text not null,
    recipient         text not null,
    sender            text not null,
    error_code        text,
    error_text        text,
    idempotency_token text,
    fields            json not null, -- not jsonb, which forgets the order of the fields
    -- Reports are found by the ids that the row of their message holds.
    constraint reports_id_pkey primary key (id),
    -- No report is as large; one that is must not slow down everybody who reads the log.
    constraint reports_fields_size_check check (octet_length(fields::text) <= 262144)
);

-- Ids of the log, handed out in blocks: a statement takes one number, and the reports of
-- its batch, at most 1,024, count on from it.
create sequence reports_id_blocks as bigint minvalue 1024 increment by 1024
    owned by reports.id;

create table rejections (
    id         bigint generated always as identity,
    arrived_at timestamptz not null,
    channel_id text collate "C" not null,
    integrator text not null,
    reason     text not null,
    detail     text not null,
    fields     json not null,
    -- The order of the log, and the cursor of its list.
    constraint rejections_id_pkey primary key (id)
);

-- The rejections of one channel, newest first; which of them are too old to keep.
create index rejections_channel_id_id_idx on rejections (channel_id, id);
