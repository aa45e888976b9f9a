-- For how many days the messages of a channel are kept; null: as many as the service keeps
-- them. A program of the release before does not look at it, and leaves it as it is.
alter table channels add column keep_messages_days integer
    -- domain's KeepDays.
    constraint channels_keep_messages_days_check check (keep_messages_days between 1 and 36500);

-- The walks of retention through all messages, in the order in which they were first heard
-- of: one for each time that a service has kept messages for. Nothing is added to
-- `messages`: an index on the last report would be written at every report.
create table message_sweeps (
    keep_days               integer not null,
    begun_at                integer not null,
    finished                integer not null default 0,
    -- The message that was looked at last; null at the beginning.
    after_first_reported_at integer,
    after_channel_id        text,
    after_sid               blob,
    -- One walk a time.
    constraint message_sweeps_keep_days_pkey primary key (keep_days)
) strict;

-- The walks through the messages of one channel, of those that keep them for a shorter time
-- than the service does.
create table channel_sweeps (
    channel_id text not null,
    keep_days  integer not null,
    begun_at   integer not null,
    finished   integer not null default 0,
    after_sid  blob not null default x'',
    -- One walk a channel.
    constraint channel_sweeps_channel_id_pkey primary key (channel_id),
    -- A channel that is gone has no time of its own.
    constraint channel_sweeps_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- Retention holds back where the clock does not fit its last run.
create table retention_runs (
    kind      text not null,
    ran_at    integer not null,
    -- The clock has jumped since; an operator has to say that it is right.
    held_back integer not null,
    -- One run a kind.
    constraint retention_runs_kind_pkey primary key (kind)
) strict;

-- Reports up to this id that are dated after this time do not hold the log: an operator has
-- said that these dates are wrong.
alter table report_log add column released_through integer not null default 0;
alter table report_log add column released_after integer;
