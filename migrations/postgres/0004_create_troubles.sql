-- Troubles, the settings of their rules, and operator events.

-- One row per trouble, and few of them: those that last, and those of the last 30 days.
create table troubles (
    id            uuid not null,
    kind          text collate "C" not null, -- domain's TroubleKind
    subject       text collate "C" not null, -- domain's TroubleSubject
    channel_id    text collate "C", -- of the subject; no reference: a trouble outlives its channel
    state         text collate "C" not null, -- pending, open, clearing or resolved
    since         timestamptz not null,
    seen          text not null,
    judged_at     timestamptz not null, -- start of the last window that was judged
    opened_at     timestamptz, -- null: pending
    resolved_at   timestamptz, -- null: not resolved
    notices       integer not null,
    noticed_at    timestamptz, -- null: no notice was sent
    snoozed_until timestamptz,
    snooze_reason text,
    snoozed_by    text,
    -- Finds the trouble to snooze. Ids are in the order of the list.
    constraint troubles_id_pkey primary key (id)
) with (fillfactor = 70);

-- At most one trouble of a kind and subject lasts. Finds those that last.
create unique index troubles_kind_subject_idx on troubles (kind, subject)
    where state <> 'resolved';

-- Retention, which removes the oldest resolved ones.
create index troubles_resolved_at_idx on troubles (resolved_at) where resolved_at is not null;

-- Who evaluates the rules. Saving locks this row, so that one process saves at a time and the
-- sequence of operator events is in the order in which they become visible.
create table trouble_evaluation (
    only_row boolean not null default true,
    holder   text collate "C", -- null: nobody yet
    token    bigint not null default 0, -- grows with each new holder
    free_at  timestamptz not null default now(),
    -- Together: one row, which each save locks.
    constraint trouble_evaluation_only_row_pkey primary key (only_row),
    constraint trouble_evaluation_only_row_check check (only_row)
) with (fillfactor = 10);

insert into trouble_evaluation default values;

-- Settings of the rules of a channel; those of the empty id apply to all others.
create table trouble_settings (
    channel_id text collate "C" not null, -- no reference: a channel may be added again
    settings   json not null, -- domain's TroubleSettings, as sql-rows encodes it
    -- Target of the upsert.
    constraint trouble_settings_channel_id_pkey primary key (channel_id)
);

-- What receivers say about their journals.
create table receiver_journals (
    receiver     text collate "C" not null,
    entries      bigint not null,
    since        timestamptz not null,
    last_used_at timestamptz not null,
    -- Target of the upsert.
    constraint receiver_journals_receiver_pkey primary key (receiver)
) with (fillfactor = 50);

-- Events for operators, which subscriptions receive on request.
create table operator_events (
    sequence   bigint generated always as identity,
    id         uuid not null,
    event_type text collate "C" not null, -- domain's OperatorEventType
    channel_id text collate "C",
    at         timestamptz not null,
    body       text not null, -- JSON, as it is sent
    -- The order in which they are read and sent.
    constraint operator_events_sequence_pkey primary key (sequence)
);

-- Retention, and the first position of a subscription.
create index operator_events_at_idx on operator_events (at);

-- How far subscriptions have received them.
create table operator_event_positions (
    subscription_id uuid not null, -- no reference: removed soon after its subscription
    sequence        bigint not null,
    failures        integer not null,
    retry_at        timestamptz, -- null: at once
    failing_since   timestamptz, -- null: not failing
    -- Target of the upsert.
    constraint operator_event_positions_subscription_id_pkey primary key (subscription_id)
) with (fillfactor = 50);
