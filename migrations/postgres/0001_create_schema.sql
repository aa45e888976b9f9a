-- The whole schema of release 0.1.0. The SQLite file beside it has the same tables.
--
-- Text that is compared or sorted has collate "C": byte order, which is the order the program
-- compares by and the same on every server.

-- ---------------------------------------------------------------------------------------------
-- Channels
-- ---------------------------------------------------------------------------------------------

create table channels (
    id            text collate "C" not null,
    integrator    text not null,
    name          text not null,
    enabled       boolean not null,
    senders       text[] not null, -- empty: any sender
    public_url    text, -- where the integrator reaches it; null: the service's URL
    signing_token bytea, -- sealed; null: signatures are not verified
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    version       bigint not null, -- optimistic locking: a change names the version it read
    -- Retention of this channel's messages; null: that of the service.
    keep_messages_days integer,
    -- Finds a channel; the order in which all channels are read.
    constraint channels_id_pkey primary key (id),
    -- The range of domain's RetentionDays.
    constraint channels_keep_messages_days_check check (keep_messages_days between 1 and 36500)
);

create table channel_credentials (
    id           uuid not null,
    channel_id   text collate "C" not null,
    webhook_user text not null,
    hash         bytea not null, -- keyed with the server secret
    key_id       bigint not null, -- which server secret
    label        text,
    created_at   timestamptz not null,
    expires_at   timestamptz, -- null: never
    last_used_at timestamptz,
    is_test      boolean not null, -- made for a test of the channel; expires within minutes
    -- Finds the credential to remove, and those to mark as used.
    constraint channel_credentials_id_pkey primary key (id),
    -- A credential without its channel authenticates callers of nothing.
    constraint channel_credentials_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);

-- The credentials of one channel: read with it, counted when one is added, removed with it.
create index channel_credentials_channel_id_idx on channel_credentials (channel_id);

-- The revision of both tables above. Every change increments it in its own transaction, so a
-- receiver that polls the number sees each change.
create table channel_directory (
    only_row boolean not null default true,
    revision bigint not null,
    -- Together: one row, which each change locks. Two rows would give two numbers.
    constraint channel_directory_only_row_pkey primary key (only_row),
    constraint channel_directory_only_row_check check (only_row)
);

insert into channel_directory (revision) values (0);

-- Counts of refused requests per channel, added to about once a second. A table of its own,
-- because every receiver reads all of `channels`.
create table channel_calls (
    channel_id      text not null,
    challenged      bigint not null, -- requests without credentials
    refused         bigint not null, -- wrong credentials
    rejected        bigint not null, -- reports that are invalid
    last_refused_at timestamptz,
    -- Finds the counters of a channel; target of the upsert that adds to them.
    constraint channel_calls_channel_id_pkey primary key (channel_id),
    -- A channel that is removed and added again starts from zero.
    constraint channel_calls_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);

-- Reports that were refused, the last 1,000 of each channel.
create table rejections (
    id         bigint generated always as identity,
    arrived_at timestamptz not null,
    channel_id text collate "C" not null, -- no reference: it may never have existed
    integrator text not null,
    reason     text not null, -- domain's RejectionReason
    detail     text not null,
    fields     json not null, -- names and masked values
    sender     bytea, -- sealed; null if there is none to add to the channel
    -- The order of the list of all channels, and its page cursor.
    constraint rejections_id_pkey primary key (id)
);

-- The list of one channel, newest first; which rows are beyond the limit of the channel.
create index rejections_channel_id_id_idx on rejections (channel_id, id);

-- ---------------------------------------------------------------------------------------------
-- Messages: one row each, its state as derived from its reports
-- ---------------------------------------------------------------------------------------------

-- Columns that never change come first: an update writes to the WAL only what lies between the
-- first and the last changed byte.
--
-- Updates stay on their page and touch no index (heap-only tuples), because no column that
-- changes with a report is indexed, and because pages are filled to a half: the messages of a
-- campaign lie side by side and are reported on together, so one batch may update every row of
-- a page. An index on such a column would be written with almost every report, and a full page
-- of it logged after every checkpoint.
create table messages (
    channel_id            text collate "C" not null,
    sid                   bytea not null, -- domain's MessageSid::to_compact
    recipient             text collate "C" not null, -- the word `erased` after an erasure
    sender                text collate "C" not null, -- empty: the first report has none
    first_reported_at     timestamptz not null,
    last_reported_at      timestamptz not null,
    duplicates            bigint not null, -- reports that were counted and not logged
    seen_mask             integer not null, -- domain's SeenReports
    status_rank           smallint, -- domain's DeliveryStatus::rank, the highest reported
    -- `status_rank` before the last batch that added reports; null if it was null. Decides
    -- which reports of that batch are late.
    previous_status_rank  smallint,
    -- When each status was first reported.
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
    -- Its reports in the log, by revision: the log has no index on messages.
    report_ids            bigint[] not null,
    seen_fingerprints     bigint[], -- of reports that `seen_mask` has no bit for
    error_at              timestamptz, -- the earliest error
    error_code            text collate "C",
    error_text            text collate "C",
    -- Target of the upsert that records a batch; the row lock orders concurrent writers.
    constraint messages_channel_id_sid_pkey primary key (channel_id, sid)
) with (fillfactor = 50);

-- The list of messages, newest first; the scans of retention and erasure.
create index messages_first_reported_at_idx on messages (first_reported_at);

-- The part of a recipient that identifies it, whatever its scheme: without the scheme and the
-- separators of a phone number (`SEPARATORS` in domain/src/address.rs; U+00A0 is the no-break
-- space). Used to search messages by recipient and to erase a recipient.
create function recipient_key(recipient text) returns text
    language sql immutable parallel safe
    return translate(substr(recipient, strpos(recipient, ':') + 1), U&' +-()./\00A0', '');

-- The canonical form of a recipient that is neither a phone number nor a user id: its scheme in
-- lower case, no blanks around its parts.
create function canonical_recipient(recipient text) returns text
    language sql immutable parallel safe
    return case
        when strpos(recipient, ':') = 0 then btrim(recipient, U&' \00A0')
        else lower(btrim(split_part(recipient, ':', 1), U&' \00A0') collate "C") || ':'
            || btrim(substr(recipient, strpos(recipient, ':') + 1), U&' \00A0')
    end;

-- ---------------------------------------------------------------------------------------------
-- The report log
-- ---------------------------------------------------------------------------------------------

-- Written once and changed by an erasure only. No index besides the key: the row of the message
-- decides what is new. One partition per UTC day, so that retention drops a day as a whole.
create table reports (
    id                bigint not null, -- see `first_report_id`
    arrived_at        timestamptz not null,
    credential_id     uuid not null, -- evidence; the credential may have been removed
    revision          integer not null, -- 1 for the first report of its message
    channel_id        text not null,
    sid               bytea not null,
    status            text not null,
    effect            text not null, -- domain's Effect
    recipient         text not null,
    sender            text not null, -- empty: the report has none
    error_code        text,
    error_text        text,
    idempotency_token text,
    happened_at       timestamptz, -- by the integrator's clock
    fields            json not null, -- not jsonb, which loses the order of the fields
    -- Finds the reports of a message by `messages.report_ids`; the order of reading. The time
    -- is part of it because the table is partitioned by it.
    constraint reports_id_arrived_at_pkey primary key (id, arrived_at),
    -- A report beyond any real one must not slow down all readers of the log.
    constraint reports_fields_size_check check (octet_length(fields::text) <= 262144)
) partition by range (arrived_at);

-- Reports of days without a partition (a wrong clock, an old journal): no report is refused for
-- want of a partition.
create table reports_default partition of reports default;

-- What the log needs besides its rows.
create table report_log (
    only_row       boolean not null default true,
    -- Added to transaction ids. Raised after the database moved to a server whose transaction
    -- ids are lower than those that the stored ids were made from.
    xact_offset    bigint not null,
    -- The highest report id that retention removed: a reader before it has missed reports.
    pruned_through bigint not null default 0,
    -- Reports up to this id that are dated after this time do not hold back retention: an
    -- operator has confirmed that their dates are wrong.
    released_through bigint not null default 0,
    released_after timestamptz,
    -- Together: one row. A second offset would make ids that are not unique.
    constraint report_log_only_row_pkey primary key (only_row),
    constraint report_log_only_row_check check (only_row)
) with (fillfactor = 10);

insert into report_log (xact_offset) values (0);

-- Report ids.
--
-- A report id is (transaction id + `xact_offset`) << 16, plus the report's index within its
-- transaction. Therefore ids are unique, and a reader that stays below the ids of all running
-- transactions never has a report appear before its position.

-- The lowest report id of a transaction.
create function first_report_id(xact xid8, xact_offset bigint) returns bigint
    language sql immutable parallel safe
    return (xact::text::bigint + xact_offset) << 16;

-- The transaction id, plus offset, that a report id was made from.
create function report_id_xact(id bigint) returns bigint
    language sql immutable parallel safe
    return id >> 16;

-- The lowest report id that a running or future transaction may use: everything below it is
-- decided, and can be handed to readers.
create function first_undecided_report_id(xact_offset bigint) returns bigint
    language sql stable parallel safe
    return first_report_id(pg_snapshot_xmin(pg_current_snapshot()), xact_offset);

-- Creates the partition of a UTC day and moves the day's reports out of the default partition.
-- Returns whether it was created: false if it exists, or if too many of its reports have
-- gathered in the default partition; those are then pruned one by one.
--
-- The table is created first and attached then: attaching does not wait for writers of other
-- partitions, nor they for it.
create function reports_make_partition(day date) returns boolean
language plpgsql as $$
declare
    max_moved constant bigint := 100000;
    name constant text := 'reports_' || to_char(day, 'YYYYMMDD');
    since constant timestamptz := day::timestamp at time zone 'UTC';
    until constant timestamptz := (day + 1)::timestamp at time zone 'UTC';
    gathered bigint;
begin
    -- Excludes writers of the default partition, and other processes that start now.
    lock table reports_default in access exclusive mode;
    if to_regclass(name) is not null then
        return false;
    end if;
    select count(*) into gathered from (
        select from reports_default
        where arrived_at >= since and arrived_at < until
        limit max_moved + 1
    ) as reports_of_day;
    if gathered > max_moved then
        return false;
    end if;
    execute format('create table %I (like reports including all)', name);
    if gathered > 0 then
        execute format(
            'with moved as (
                 delete from reports_default where arrived_at >= $1 and arrived_at < $2
                 returning *
             )
             insert into %I select * from moved',
            name
        ) using since, until;
    end if;
    execute format(
        'alter table reports attach partition %I for values from (%L) to (%L)',
        name, since, until
    );
    return true;
end
$$;

-- Drops the oldest partition of a day before `day` whose reports all have ids below `cut`, and
-- raises `pruned_through`. Returns whether there was one.
--
-- A report may just be written to an old day, so writers are excluded while this is decided.
-- That is quick, but every later statement queues up after a waiting lock request: it gives up
-- after a second, and the caller tries again later.
create function reports_drop_day(day date, cut bigint) returns boolean
language plpgsql as $$
declare
    name text;
    last bigint;
begin
    -- One process at a time: a partition that another one drops must not be found below.
    perform pg_advisory_xact_lock(hashtext('receiptd.reports_drop_day'));
    perform set_config('lock_timeout', '1s', true);
    for name in
        select class.relname
        from pg_inherits as inherits
        join pg_class as class on class.oid = inherits.inhrelid
        where inherits.inhparent = 'reports'::regclass
            and class.relname ~ '^reports_[0-9]{8}$'
            and class.relname < 'reports_' || to_char(day, 'YYYYMMDD') collate "C"
        order by class.relname
    loop
        execute format('select coalesce(max(id), 0) from %I', name) into last;
        continue when last >= cut;
        lock table only reports in access exclusive mode;
        execute format('lock table %I in access exclusive mode', name);
        execute format('select coalesce(max(id), 0) from %I', name) into last;
        continue when last >= cut;
        execute format('drop table %I', name);
        update report_log set pruned_through = last where pruned_through < last;
        return true;
    end loop;
    return false;
end
$$;

-- The time index of the log: where it ended at what time, about once a minute while reports
-- arrive. Reports that arrived at that time or later have higher ids. An index on
-- `reports.arrived_at` would be written with every report.
create table log_time_index (
    at       timestamptz not null,
    position bigint not null,
    -- The last entry before a time, and those after it.
    constraint log_time_index_at_pkey primary key (at)
);

-- The highest entry: each new connection compares it with the next report id.
create index log_time_index_position_idx on log_time_index (position);

-- Positions of named readers of the log.
create table log_cursors (
    name     text collate "C" not null,
    position bigint not null,
    -- Finds the cursor that its reader moves.
    constraint log_cursors_name_pkey primary key (name)
) with (fillfactor = 50);

-- ---------------------------------------------------------------------------------------------
-- Webhook subscriptions
-- ---------------------------------------------------------------------------------------------

-- Few rows, each updated several times a second while its events are delivered: columns that do
-- not change then come first, pages are half empty and no changing column is indexed, so that
-- updates are small and stay on their page.
create table subscriptions (
    id                         uuid not null,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    version                    bigint not null, -- optimistic locking, as of channels
    url                        text not null,
    channels                   text[], -- null: all
    event_types                text[], -- null: all
    reveal                     boolean not null, -- whether events contain full addresses
    description                text not null,
    secret                     bytea not null, -- sealed
    secret_created_at          timestamptz not null,
    previous_secret            bytea, -- also signs until it expires
    previous_secret_created_at timestamptz,
    previous_secret_expires_at timestamptz,
    state                      text not null, -- domain's SubscriptionState
    pause_reason               text,
    state_since                timestamptz,
    -- A removed subscription keeps its row, emptied, until its deliveries are pruned: it tells
    -- which deliveries to prune, and its id cannot be used again.
    removed                    boolean not null default false,
    last_error                 json, -- domain's Attempt::to_json
    last_error_at              timestamptz,
    failing_since              timestamptz,
    -- The fence set by the last claim, and the worker that claimed; null if released. The lease
    -- is held while this equals `fence`.
    leased_fence               bigint,
    leased_by                  text,
    -- When it can be claimed, whether or not it is leased.
    free_at                    timestamptz not null,
    -- Raised by every claim, and by every change that the holder of the lease must notice.
    fence                      bigint not null,
    last_delivered_at          timestamptz,
    position                   bigint not null, -- events up to here are delivered or pending
    -- Finds a subscription; the row lock orders all writes of it and its deliveries.
    constraint subscriptions_id_pkey primary key (id)
) with (fillfactor = 50);

-- The outcome of each event at a subscription. Almost all rows are written once, as delivered
-- and in log order, so indexes grow at their end, except those of undelivered events. No foreign
-- keys, which would be checked for every row: a row is written only together with that of its
-- subscription.
create table deliveries (
    subscription_id uuid not null,
    report_id       bigint not null, -- the report may have been pruned
    position        bigint not null,
    created_at      timestamptz not null,
    -- When the time limit of attempts started; null: at `created_at`.
    retrying_since  timestamptz,
    next_attempt_at timestamptz,
    cooldown_until  timestamptz, -- from the endpoint's last Retry-After
    finished_at     timestamptz, -- null while pending
    revision        integer not null,
    attempts        integer not null,
    event_index     smallint not null, -- among the events of its report
    state           text not null, -- domain's DeliveryState
    event_type      text not null,
    channel_id      text collate "C" not null,
    sid             bytea not null, -- domain's MessageSid::to_compact
    last_attempts   json not null, -- domain's Attempts::last_to_json
    body            text, -- null once delivered or erased
    -- Target of the upsert; the list of a subscription's deliveries.
    constraint deliveries_subscription_id_report_id_event_index_pkey
        primary key (subscription_id, report_id, event_index)
);

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
    name        text collate "C" not null,
    alive_until timestamptz not null,
    -- Target of the upsert with which a worker renews its row.
    constraint workers_name_pkey primary key (name)
) with (fillfactor = 50);

-- Fair share: ceil(active subscriptions / live workers).
create view worker_share as
select (active.number + alive.number - 1) / alive.number as subscriptions
from (
    select count(*) as number from subscriptions where state = 'active' and not removed
) as active
cross join (
    select greatest(count(*), 1) as number
    from workers
    -- A later time than that of the longest lease (10 minutes and a margin of one) was written
    -- before the clock was set back.
    where alive_until > now() and alive_until <= now() + interval '11 minutes'
) as alive;

-- ---------------------------------------------------------------------------------------------
-- Retention and erasure
-- ---------------------------------------------------------------------------------------------

-- When each kind of retention last ran: it stops if the clock has jumped since.
create table retention_runs (
    kind      text collate "C" not null, -- ports' RetentionKind
    ran_at    timestamptz not null,
    held_back boolean not null, -- stopped until an operator confirms the clock
    -- Target of the upsert.
    constraint retention_runs_kind_pkey primary key (kind)
) with (fillfactor = 50);

-- Retention scans over all messages by first arrival: one per configured retention, so one, or
-- several while receivers are configured differently. `messages` has no index on the last
-- report, which would be written with every report.
create table message_scans (
    keep_days               integer not null,
    started_at              timestamptz not null,
    finished                boolean not null default false,
    -- Cursor: the last message examined; null at the start.
    after_first_reported_at timestamptz,
    after_channel_id        text collate "C",
    after_sid               bytea,
    -- Finds the scan; its row lock excludes concurrent steps.
    constraint message_scans_keep_days_pkey primary key (keep_days)
) with (fillfactor = 50);

-- Retention scans over the messages of one channel, of channels whose retention is shorter than
-- that of the service.
create table channel_scans (
    channel_id text collate "C" not null,
    keep_days  integer not null,
    started_at timestamptz not null,
    finished   boolean not null default false,
    after_sid  bytea not null default '', -- cursor
    -- Finds the scan; its row lock excludes concurrent steps.
    constraint channel_scans_channel_id_pkey primary key (channel_id),
    -- A removed channel has no retention of its own.
    constraint channel_scans_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) with (fillfactor = 50);

-- Erasures of recipients: that it was done, not for whom. Few rows.
--
-- The erased tables have no mark of their own: an erased recipient is the word of domain's
-- Address::erased. There is no index on them either, which would be written at a random place
-- with every new message. `message_recipients` does not know of the fields of reports. An erasure is
-- rare and scans everything instead.
create table erasures (
    id                       uuid not null,
    requested_at             timestamptz not null,
    requested_via            text not null, -- domain's RequestedVia
    reason                   text,
    masked                   text not null, -- domain's Recipient as displayed
    -- The address, needed to resume; null when finished.
    recipient                text,
    -- Cursor: first through the log, then through the messages from newest to oldest. A message
    -- only ever moves to a place that is still to be scanned.
    log_after                bigint, -- null when the log is done
    before_first_reported_at timestamptz,
    before_channel_id        text collate "C",
    before_sid               bytea,
    -- Counts so far: reports and messages examined, and what was erased.
    examined                 bigint not null default 0,
    messages                 bigint not null default 0,
    reports                  bigint not null default 0,
    deliveries               bigint not null default 0,
    finished_at              timestamptz,
    -- Finds an erasure; its row lock orders steps. Ids are in the order of the list.
    constraint erasures_id_pkey primary key (id),
    -- A finished erasure must not contain the address.
    constraint erasures_recipient_check check ((recipient is null) = (finished_at is not null))
);
