-- Who is told of events by HTTP, and up to where in the log that is done.
--
-- There are few of them, and each is written several times a second while its events are
-- delivered: what never changes then stands first, so that little of a row is logged; pages
-- are half empty and nothing that changes is indexed, so that it stays where it is.
create table subscriptions (
    id                         uuid not null,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    version                    bigint not null,
    url                        text not null,
    channels                   text[], -- null: all
    event_types                text[], -- null: all
    reveal                     boolean not null,
    description                text not null,
    secret                     bytea not null,
    secret_created_at          timestamptz not null,
    previous_secret            bytea,
    previous_secret_created_at timestamptz,
    previous_secret_expires_at timestamptz,
    state                      text not null,
    pause_reason               text,
    state_since                timestamptz,
    -- Its row stays when it is removed, empty, so that its deliveries are known to be
    -- nobody's until they are pruned, and its id does not come again.
    removed                    boolean not null default false,
    last_error                 json, -- domain's Attempt::to_json
    last_error_at              timestamptz,
    failing_since              timestamptz,
    -- The fence that the last claim set, and who has claimed; null if released. The lease is
    -- held while this is the fence.
    leased_fence               bigint,
    leased_by                  text,
    -- From when on it can be claimed, whoever has it.
    free_at                    timestamptz not null,
    -- Raised by every claim, and by whatever the holder of the lease has to know of.
    fence                      bigint not null,
    last_delivered_at          timestamptz,
    position                   bigint not null,
    -- One row a subscription, whose lock orders all that is written of it.
    constraint subscriptions_id_pkey primary key (id)
) with (fillfactor = 50);

-- What became of an event at a subscription. Nearly all rows are written once, as delivered,
-- in the order of the log, so that each index but those of what is not delivered grows at its
-- end. No foreign keys: they would be asked for every row. A row is written only together
-- with that of its subscription.
create table deliveries (
    subscription_id uuid not null,
    report_id       bigint not null, -- may be gone
    position        bigint not null,
    created_at      timestamptz not null,
    next_attempt_at timestamptz,
    finished_at     timestamptz,
    revision        integer not null,
    attempts        integer not null,
    part            smallint not null,
    state           text not null,
    event_type      text not null,
    channel_id      text collate "C" not null,
    sid             bytea not null, -- domain's MessageSid::to_compact
    last_attempts   json not null, -- domain's Attempts::last_to_json
    body            text, -- null when delivered, or erased
    -- One row an event at a subscription; the list of a subscription's deliveries.
    constraint deliveries_subscription_id_report_id_part_pkey
        primary key (subscription_id, report_id, part)
);

-- What is still to be done for a subscription, in the order of the log; how much that is.
create index deliveries_subscription_id_position_idx
    on deliveries (subscription_id, position, revision, part)
    where state in ('retrying', 'waiting');

-- What was given up: listed, counted, tried again.
create index deliveries_subscription_id_report_id_part_idx
    on deliveries (subscription_id, report_id, part)
    where state = 'dead';

-- What is old enough to be pruned.
create index deliveries_finished_at_idx on deliveries (finished_at)
    where finished_at is not null;

-- What must not be sent any more when a message is erased.
create index deliveries_channel_id_sid_idx on deliveries (channel_id, sid)
    where body is not null;
