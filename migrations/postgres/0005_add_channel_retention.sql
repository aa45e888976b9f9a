-- For how many days the messages of a channel are kept; null: as many as the service keeps
-- them. A program of the release before does not look at it, and leaves it as it is.
alter table channels add column keep_messages_days integer
    -- domain's KeepDays. The table is small and read at once.
    constraint channels_keep_messages_days_check check (keep_messages_days between 1 and 36500);

-- The walks of retention through all messages, in the order in which they were first heard
-- of: one for each time that a service has kept messages for, so one, or some if receivers
-- are set differently. Nothing is added to `messages`: an index on the last report would be
-- written at every report.
create table message_sweeps (
    keep_days               integer not null,
    begun_at                timestamptz not null,
    finished                boolean not null default false,
    -- The message that was looked at last; null at the beginning.
    after_first_reported_at timestamptz,
    after_channel_id        text collate "C",
    after_sid               bytea,
    -- One walk a time, whose row a step locks.
    constraint message_sweeps_keep_days_pkey primary key (keep_days)
) with (fillfactor = 50);

-- The walks through the messages of one channel, of those that keep them for a shorter time
-- than the service does.
create table channel_sweeps (
    channel_id text collate "C" not null,
    keep_days  integer not null,
    begun_at   timestamptz not null,
    finished   boolean not null default false,
    after_sid  bytea not null default '',
    -- One walk a channel, whose row a step locks.
    constraint channel_sweeps_channel_id_pkey primary key (channel_id),
    -- A channel that is gone has no time of its own.
    constraint channel_sweeps_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) with (fillfactor = 50);

-- Retention holds back where the clock does not fit its last run.
create table retention_runs (
    kind      text collate "C" not null,
    ran_at    timestamptz not null,
    -- The clock has jumped since; an operator has to say that it is right.
    held_back boolean not null,
    -- One run a kind.
    constraint retention_runs_kind_pkey primary key (kind)
) with (fillfactor = 50);

-- Reports up to this id that are dated after this time do not hold the log: an operator has
-- said that these dates are wrong.
alter table report_log
    add column released_through bigint not null default 0,
    add column released_after timestamptz;
