-- Who is told of events by HTTP, and up to where in the log that is done.
create table subscriptions (
    id                         blob not null,
    created_at                 integer not null,
    updated_at                 integer not null,
    version                    integer not null,
    url                        text not null,
    channels                   text, -- null: all
    event_types                text, -- null: all
    reveal                     integer not null,
    description                text not null,
    secret                     blob not null,
    secret_created_at          integer not null,
    previous_secret            blob,
    previous_secret_created_at integer,
    previous_secret_expires_at integer,
    state                      text not null,
    pause_reason               text,
    state_since                integer,
    -- Its row stays when it is removed, empty, so that its deliveries are known to be
    -- nobody's until they are pruned, and its id does not come again.
    removed                    integer not null default 0,
    last_error                 text, -- domain's Attempt::to_json
    last_error_at              integer,
    failing_since              integer,
    -- The fence that the last claim set, and who has claimed; null if released. The lease is
    -- held while this is the fence.
    leased_fence               integer,
    leased_by                  text,
    -- From when on it can be claimed, whoever has it.
    free_at                    integer not null,
    -- Raised by every claim, and by whatever the holder of the lease has to know of.
    fence                      integer not null,
    last_delivered_at          integer,
    position                   integer not null,
    -- One row a subscription, which all that is written of it finds.
    constraint subscriptions_id_pkey primary key (id)
) strict;

-- What became of an event at a subscription. Nearly all rows are written once, as delivered,
-- in the order of the log. So it is `without rowid`: those of a subscription are appended one
-- behind the other, and there is one tree to write instead of two. No foreign keys: they
-- would be asked for every row. A row is written only together with that of its subscription.
create table deliveries (
    subscription_id blob not null,
    report_id       integer not null, -- may be gone
    part            integer not null,
    position        integer not null,
    created_at      integer not null,
    next_attempt_at integer,
    finished_at     integer,
    revision        integer not null,
    attempts        integer not null,
    state           text not null,
    event_type      text not null,
    channel_id      text not null,
    sid             blob not null, -- domain's MessageSid::to_compact
    last_attempts   text not null, -- domain's Attempts::last_to_json
    body            text, -- null when delivered, or erased
    -- One row an event at a subscription; the list of a subscription's deliveries.
    constraint deliveries_subscription_id_report_id_part_pkey
        primary key (subscription_id, report_id, part)
) strict, without rowid;

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
