-- Statistics: counts per channel and interval. A reader of the report log maintains them.

-- One row per channel and quarter of an hour, and one per channel and day: a page reads a few
-- thousand rows at most. All counts of a row are one JSON document, since they are read together
-- and a step of the reader changes many of them. Pages are half empty, so that updates of the
-- running interval stay on their page.
create table statistics (
    length     text collate "C" not null, -- quarter_hour or day
    starts_at  timestamptz not null,
    channel_id text collate "C" not null, -- no reference: counts outlive their channel
    counts     json not null, -- domain's Counts, as sql-rows encodes it
    -- The order in which a range of time is read; target of the upsert.
    constraint statistics_length_starts_at_channel_id_pkey
        primary key (length, starts_at, channel_id)
) with (fillfactor = 50);

-- When the last counted report of each channel arrived: where the next gap begins.
create table statistics_arrivals (
    channel_id text collate "C" not null, -- no reference, like the counts
    arrived_at timestamptz not null,
    -- One row per channel; target of the upsert.
    constraint statistics_arrivals_channel_id_pkey primary key (channel_id)
) with (fillfactor = 50);

-- The last batch of counts that each receiver added, so that one whose commit was in doubt can be
-- repeated.
create table statistics_writers (
    writer   uuid not null,
    number   bigint not null,
    taken_at timestamptz not null,
    -- One row per process; target of the upsert.
    constraint statistics_writers_writer_pkey primary key (writer)
) with (fillfactor = 50);

-- The messages that failed, so that lists by failure need not read all messages, whose own columns
-- have no index that every report would have to write. The reader adds a message when it counts
-- its failure.
create table problem_messages (
    channel_id   text collate "C" not null,
    sid          bytea not null,
    -- What the columns of `messages` were when its last report was counted.
    reported_at  timestamptz not null, -- first_reported_at
    rank         smallint, -- status_rank
    code         text collate "C", -- error_code
    contradicted boolean not null,
    -- Target of the upsert; removes the entry with its message.
    constraint problem_messages_channel_id_sid_pkey primary key (channel_id, sid)
);

-- Lists by status, by error code, and of contradicted messages, newest first.
create index problem_messages_rank_idx
    on problem_messages (rank, reported_at, channel_id, sid);
create index problem_messages_code_idx
    on problem_messages (code, reported_at, channel_id, sid);
create index problem_messages_contradicted_idx
    on problem_messages (reported_at, channel_id, sid) where contradicted;

-- Which messages a recipient has, by a keyed hash of its address. Entries are only added, by the
-- reader when it counts the first report of a message, and removed with their message.
create table message_recipients (
    recipient_hash bigint not null, -- domain's RecipientHash
    channel_id     text collate "C" not null,
    sid            bytea not null,
    -- Search by recipient.
    constraint message_recipients_recipient_hash_channel_id_sid_pkey
        primary key (recipient_hash, channel_id, sid)
);

-- Removes the entries with their message, and when its recipient is erased.
create index message_recipients_channel_id_sid_idx on message_recipients (channel_id, sid);

-- Removes the entries of messages that retention removes.
create function remove_listed_messages() returns trigger language plpgsql as $$
begin
    delete from problem_messages as problem
    using removed
    where problem.channel_id = removed.channel_id and problem.sid = removed.sid;
    delete from message_recipients as entry
    using removed
    where entry.channel_id = removed.channel_id and entry.sid = removed.sid;
    return null;
end
$$;

create trigger messages_remove_listed after delete on messages
    referencing old table as removed
    for each statement execute function remove_listed_messages();

-- Up to where the log is counted. Every change of `statistics` locks this row first: of several
-- readers that start a step from the same position, one applies it.
create table statistics_position (
    only_row boolean not null default true,
    position bigint, -- null: nothing is counted yet
    -- Whose days are counted; null before the first start.
    zone       text,
    days_since timestamptz, -- earlier days are those of another zone; null: none are
    next_day   timestamptz, -- to be made from quarters of an hour; null: all are made
    -- Together: one row, which each change locks.
    constraint statistics_position_only_row_pkey primary key (only_row),
    constraint statistics_position_only_row_check check (only_row)
) with (fillfactor = 10);

insert into statistics_position default values;
