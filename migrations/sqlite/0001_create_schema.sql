-- The whole schema of release 0.1.0. The PostgreSQL file beside it has the same tables.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. Text is compared byte by byte, the only
-- collation used here. Lists are JSON text. Booleans are 0 and 1.

-- The engine's clock in that unit.
create view clock as
select cast(unixepoch('subsec') * 1000000 as integer) as now;

-- ---------------------------------------------------------------------------------------------
-- Channels
-- ---------------------------------------------------------------------------------------------

create table channels (
    id            text not null,
    integrator    text not null,
    name          text not null,
    enabled       integer not null,
    senders       text not null, -- empty: any sender
    public_url    text, -- where the integrator reaches it; null: the service's URL
    signing_token blob, -- sealed; null: signatures are not verified
    created_at    integer not null,
    updated_at    integer not null,
    version       integer not null, -- optimistic locking: a change names the version it read
    -- Retention of this channel's messages; null: that of the service.
    keep_messages_days integer,
    -- Finds a channel; the order in which all channels are read.
    constraint channels_id_pkey primary key (id),
    -- The range of domain's RetentionDays.
    constraint channels_keep_messages_days_check check (keep_messages_days between 1 and 36500)
) strict;

create table channel_credentials (
    id           blob not null,
    channel_id   text not null,
    webhook_user text not null,
    hash         blob not null, -- keyed with the server secret
    key_id       integer not null, -- which server secret
    label        text,
    created_at   integer not null,
    expires_at   integer, -- null: never
    last_used_at integer,
    is_test      integer not null, -- made for a test of the channel; expires within minutes
    -- Finds the credential to remove, and those to mark as used.
    constraint channel_credentials_id_pkey primary key (id),
    -- A credential without its channel authenticates callers of nothing.
    constraint channel_credentials_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- The credentials of one channel: read with it, counted when one is added, removed with it.
create index channel_credentials_channel_id_idx on channel_credentials (channel_id);

-- The revision of both tables above. Every change increments it in its own transaction, so a
-- receiver that polls the number sees each change.
create table channel_directory (
    only_row integer not null default 1,
    revision integer not null,
    -- Together: one row, which each change locks. Two rows would give two numbers.
    constraint channel_directory_only_row_pkey primary key (only_row),
    constraint channel_directory_only_row_check check (only_row = 1)
) strict;

insert into channel_directory (revision) values (0);

-- Counts of refused requests per channel, added to about once a second. A table of its own,
-- because every receiver reads all of `channels`.
create table channel_calls (
    channel_id      text not null,
    challenged      integer not null, -- requests without credentials
    refused         integer not null, -- wrong credentials
    rejected        integer not null, -- reports that are invalid
    last_refused_at integer,
    -- Finds the counters of a channel; target of the upsert that adds to them.
    constraint channel_calls_channel_id_pkey primary key (channel_id),
    -- A channel that is removed and added again starts from zero.
    constraint channel_calls_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- Reports that were refused, the last 1,000 of each channel.
create table rejections (
    -- The order of the list of all channels, and its page cursor, which must not be used twice.
    id         integer not null constraint rejections_id_pkey primary key autoincrement,
    arrived_at integer not null,
    channel_id text not null, -- no reference: it may never have existed
    integrator text not null,
    reason     text not null, -- domain's RejectionReason
    detail     text not null,
    fields     text not null, -- names and masked values
    sender     blob -- sealed; null if there is none to add to the channel
) strict;

-- The list of one channel, newest first; which rows are beyond the limit of the channel.
create index rejections_channel_id_id_idx on rejections (channel_id, id);

-- ---------------------------------------------------------------------------------------------
-- Messages: one row each, its state as derived from its reports
-- ---------------------------------------------------------------------------------------------

-- Not `without rowid`: rows are appended in the order of the messages' first reports, and the
-- reports of a message arrive within minutes, so a batch changes a few pages at the end of the
-- table. Clustered by key, each message of the batch would change a page of its own, with every
-- one of its reports.
create table messages (
    channel_id            text not null,
    sid                   blob not null, -- domain's MessageSid::to_compact
    recipient             text not null, -- the word `erased` after an erasure
    sender                text not null,
    first_reported_at     integer not null,
    last_reported_at      integer not null,
    duplicates            integer not null, -- reports that were counted and not logged
    seen_mask             integer not null, -- domain's SeenReports
    status_rank           integer, -- domain's DeliveryStatus::rank, the highest reported
    -- When each status was first reported.
    accepted_at           integer,
    scheduled_at          integer,
    queued_at             integer,
    sending_at            integer,
    sent_at               integer,
    partially_delivered_at integer,
    canceled_at           integer,
    failed_at             integer,
    undelivered_at        integer,
    delivered_at          integer,
    read_at               integer,
    -- Its reports in the log, by revision: the log has no index on messages.
    report_ids            text not null,
    seen_fingerprints     text, -- of reports that `seen_mask` has no bit for
    error_at              integer, -- the earliest error
    error_code            text,
    error_text            text,
    -- Target of the upsert that records a batch.
    constraint messages_channel_id_sid_pkey primary key (channel_id, sid)
) strict;

-- The list of messages, newest first; the scans of retention and erasure.
create index messages_first_reported_at_idx on messages (first_reported_at);

-- ---------------------------------------------------------------------------------------------
-- The report log
-- ---------------------------------------------------------------------------------------------

-- Written once and changed by an erasure only. The row of the message decides what is new.
-- There is one writer, so ids are in the order of commits.
create table reports (
    -- Finds the reports of a message by `messages.report_ids`; the order of reading.
    -- `autoincrement`: no id is used twice, even if the newest rows are removed.
    id                integer not null constraint reports_id_pkey primary key autoincrement,
    channel_id        text not null,
    sid               blob not null,
    revision          integer not null, -- 1 for the first report of its message
    effect            text not null, -- domain's Effect
    status            text not null,
    recipient         text not null,
    sender            text not null, -- empty: the report has none
    arrived_at        integer not null,
    credential_id     blob not null, -- evidence; the credential may have been removed
    error_code        text,
    error_text        text,
    idempotency_token text,
    happened_at       integer, -- by the integrator's clock
    fields            text not null, -- a JSON object
    -- A report beyond any real one must not slow down all readers of the log.
    constraint reports_fields_size_check check (length(cast(fields as blob)) <= 262144)
) strict;

-- The position of a time; which reports are too old.
create index reports_arrived_at_idx on reports (arrived_at);

-- What the log needs besides its rows.
create table report_log (
    only_row       integer not null default 1,
    -- The highest report id that retention removed: a reader before it has missed reports.
    pruned_through integer not null default 0,
    -- Reports up to this id that are dated after this time do not hold back retention: an
    -- operator has confirmed that their dates are wrong.
    released_through integer not null default 0,
    released_after integer,
    -- Together: one row.
    constraint report_log_only_row_pkey primary key (only_row),
    constraint report_log_only_row_check check (only_row = 1)
) strict;

insert into report_log (pruned_through) values (0);

-- Positions of named readers of the log.
create table log_cursors (
    name     text not null,
    position integer not null,
    -- Finds the cursor that its reader moves.
    constraint log_cursors_name_pkey primary key (name)
) strict;

-- ---------------------------------------------------------------------------------------------
-- Webhook subscriptions
-- ---------------------------------------------------------------------------------------------

create table subscriptions (
    id                         blob not null,
    created_at                 integer not null,
    updated_at                 integer not null,
    version                    integer not null, -- optimistic locking, as of channels
    url                        text not null,
    channels                   text, -- null: all
    event_types                text, -- null: all
    reveal                     integer not null, -- whether events contain full addresses
    description                text not null,
    secret                     blob not null, -- sealed
    secret_created_at          integer not null,
    previous_secret            blob, -- also signs until it expires
    previous_secret_created_at integer,
    previous_secret_expires_at integer,
    state                      text not null, -- domain's SubscriptionState
    pause_reason               text,
    state_since                integer,
    -- A removed subscription keeps its row, emptied, until its deliveries are pruned: it tells
    -- which deliveries to prune, and its id cannot be used again.
    removed                    integer not null default 0,
    last_error                 text, -- domain's Attempt::to_json
    last_error_at              integer,
    failing_since              integer,
    -- The fence set by the last claim, and the worker that claimed; null if released. The lease
    -- is held while this equals `fence`.
    leased_fence               integer,
    leased_by                  text,
    -- When it can be claimed, whether or not it is leased.
    free_at                    integer not null,
    -- Raised by every claim, and by every change that the holder of the lease must notice.
    fence                      integer not null,
    last_delivered_at          integer,
    position                   integer not null, -- events up to here are delivered or pending
    -- Finds a subscription.
    constraint subscriptions_id_pkey primary key (id)
) strict;

-- The outcome of each event at a subscription. Almost all rows are written once, as delivered
-- and in log order. Therefore `without rowid`: the rows of a subscription are appended one after
-- the other, and there is one tree to write instead of two. No foreign keys, which would be
-- checked for every row: a row is written only together with that of its subscription.
create table deliveries (
    subscription_id blob not null,
    report_id       integer not null, -- the report may have been pruned
    -- Among the events of its report. The columns of the key come first, as they are stored:
    -- sqlx would infer wrong nullability otherwise.
    event_index     integer not null,
    position        integer not null,
    created_at      integer not null,
    -- When the time limit of attempts started; null: at `created_at`.
    retrying_since  integer,
    next_attempt_at integer,
    cooldown_until  integer, -- from the endpoint's last Retry-After
    finished_at     integer, -- null while pending
    revision        integer not null,
    attempts        integer not null,
    state           text not null, -- domain's DeliveryState
    event_type      text not null,
    channel_id      text not null,
    sid             blob not null, -- domain's MessageSid::to_compact
    last_attempts   text not null, -- domain's Attempts::last_to_json
    body            text, -- null once delivered or erased
    -- Target of the upsert; the list of a subscription's deliveries.
    constraint deliveries_subscription_id_report_id_event_index_pkey
        primary key (subscription_id, report_id, event_index)
) strict, without rowid;

-- The pending deliveries of a subscription in delivery order; their number.
create index deliveries_subscription_id_position_idx
    on deliveries (subscription_id, position, revision, event_index)
    where state in ('retrying', 'waiting');

-- Dead letters: listed, counted, retried.
create index deliveries_subscription_id_report_id_event_index_idx
    on deliveries (subscription_id, report_id, event_index)
    where state = 'dead';

-- Which deliveries retention removes; those that ended lately, for the success rate.
create index deliveries_finished_at_idx on deliveries (finished_at)
    where finished_at is not null;

-- The deliveries of erased messages that would still be sent.
create index deliveries_channel_id_sid_idx on deliveries (channel_id, sid)
    where body is not null;

-- Processes that deliver events, and until when each counts as alive.
create table workers (
    name        text not null,
    alive_until integer not null,
    -- Target of the upsert with which a worker renews its row.
    constraint workers_name_pkey primary key (name)
) strict;

-- Fair share: ceil(active subscriptions / live workers).
create view worker_share as
select (active.number + alive.number - 1) / alive.number as subscriptions
from (
    select count(*) as number from subscriptions where state = 'active' and not removed
) as active
cross join (
    select max(count(*), 1) as number
    from workers
    -- A later time than that of the longest lease (10 minutes and a margin of one) was written
    -- before the clock was set back.
    where alive_until > (select now from clock)
        and alive_until <= (select now from clock) + 11 * 60 * 1000000
) as alive;

-- ---------------------------------------------------------------------------------------------
-- Retention and erasure
-- ---------------------------------------------------------------------------------------------

-- When each kind of retention last ran: it stops if the clock has jumped since.
create table retention_runs (
    kind      text not null, -- ports' RetentionKind
    ran_at    integer not null,
    held_back integer not null, -- stopped until an operator confirms the clock
    -- Target of the upsert.
    constraint retention_runs_kind_pkey primary key (kind)
) strict;

-- Retention scans over all messages by first arrival, one per configured retention. `messages` has no index on the last
-- report, which would be written with every report.
create table message_scans (
    keep_days               integer not null,
    started_at              integer not null,
    finished                integer not null default 0,
    -- Cursor: the last message examined; null at the start.
    after_first_reported_at integer,
    after_channel_id        text,
    after_sid               blob,
    -- Finds the scan.
    constraint message_scans_keep_days_pkey primary key (keep_days)
) strict;

-- Retention scans over the messages of one channel, of channels whose retention is shorter than
-- that of the service.
create table channel_scans (
    channel_id text not null,
    keep_days  integer not null,
    started_at integer not null,
    finished   integer not null default 0,
    after_sid  blob not null default x'', -- cursor
    -- Finds the scan.
    constraint channel_scans_channel_id_pkey primary key (channel_id),
    -- A removed channel has no retention of its own.
    constraint channel_scans_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- Erasures of recipients: that it was done, not for whom. Few rows.
--
-- The erased tables have no mark of their own: an erased recipient is the word of domain's
-- Address::erased. There is no index on them either, which would be written at a random place
-- with every new message. `message_recipients` does not know of the fields of reports. An erasure is
-- rare and scans everything instead.
create table erasures (
    id                       blob not null,
    requested_at             integer not null,
    requested_via            text not null, -- domain's RequestedVia
    reason                   text,
    masked                   text not null, -- domain's Recipient as displayed
    -- The address, needed to resume; null when finished.
    recipient                text,
    -- Cursor: first through the log, then through the messages from newest to oldest. A message
    -- only ever moves to a place that is still to be scanned.
    log_after                integer, -- null when the log is done
    before_first_reported_at integer,
    before_channel_id        text,
    before_sid               blob,
    -- Counts so far: reports and messages examined, and what was erased.
    examined                 integer not null default 0,
    messages                 integer not null default 0,
    reports                  integer not null default 0,
    deliveries               integer not null default 0,
    finished_at              integer,
    -- Finds an erasure. Ids are in the order of the list.
    constraint erasures_id_pkey primary key (id),
    -- A finished erasure must not contain the address.
    constraint erasures_recipient_check check ((recipient is null) = (finished_at is not null))
) strict;
