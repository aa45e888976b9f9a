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

-- Up to where the log is counted. Every change of `statistics` locks this row first: of several
-- readers that start a step from the same position, one applies it.
create table statistics_position (
    only_row boolean not null default true,
    position bigint, -- null: nothing is counted yet
    -- Together: one row, which each change locks.
    constraint statistics_position_only_row_pkey primary key (only_row),
    constraint statistics_position_only_row_check check (only_row)
) with (fillfactor = 10);

insert into statistics_position default values;
