-- Troubles, the settings of their rules, and operator events. The PostgreSQL file beside this one
-- has the same tables, with the reason of each.

create table troubles (
    id            blob not null,
    kind          text not null, -- domain's TroubleKind
    subject       text not null, -- domain's TroubleSubject
    channel_id    text, -- of the subject; no reference: a trouble outlives its channel
    state         text not null, -- pending, open, clearing or resolved
    since         integer not null, -- microseconds since 1970, like all times
    seen          text not null,
    judged_at     integer not null, -- start of the last window that was judged
    opened_at     integer, -- null: pending
    resolved_at   integer, -- null: not resolved
    notices       integer not null,
    noticed_at    integer, -- null: no notice was sent
    snoozed_until integer,
    snooze_reason text,
    snoozed_by    text,
    -- Finds the trouble to snooze. Ids are in the order of the list.
    constraint troubles_id_pkey primary key (id)
) strict;

-- At most one trouble of a kind and subject lasts. Finds those that last.
create unique index troubles_kind_subject_idx on troubles (kind, subject)
    where state <> 'resolved';

-- Retention, which removes the oldest resolved ones.
create index troubles_resolved_at_idx on troubles (resolved_at) where resolved_at is not null;

create table trouble_evaluation (
    only_row integer not null primary key default 1 check (only_row = 1),
    holder   text, -- null: nobody yet
    token    integer not null default 0, -- grows with each new holder
    free_at  integer not null default 0
) strict;

insert into trouble_evaluation default values;

create table trouble_settings (
    channel_id text not null primary key, -- empty: all channels without settings of their own
    settings   text not null -- JSON: domain's TroubleSettings, as sql-rows encodes it
) strict;

create table receiver_journals (
    receiver     text not null primary key,
    entries      integer not null,
    since        integer not null,
    last_used_at integer not null
) strict;

create table operator_events (
    -- The order in which they are read and sent; numbers of removed events are not used again.
    sequence   integer primary key autoincrement,
    id         blob not null,
    event_type text not null, -- domain's OperatorEventType
    channel_id text,
    at         integer not null,
    body       text not null -- JSON, as it is sent
) strict;

-- Retention, and the first position of a subscription.
create index operator_events_at_idx on operator_events (at);

create table operator_event_positions (
    subscription_id blob not null primary key, -- no reference: removed soon after its subscription
    sequence        integer not null,
    failures        integer not null,
    retry_at        integer, -- null: at once
    failing_since   integer -- null: not failing
) strict;
