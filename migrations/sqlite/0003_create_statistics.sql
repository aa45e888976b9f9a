-- Statistics: counts per channel and interval. A reader of the report log maintains them. The
-- PostgreSQL file beside this one has the same tables, with the reason of each.

create table statistics (
    length     text not null, -- quarter_hour or day
    starts_at  integer not null, -- microseconds since 1970
    channel_id text not null, -- no reference: counts outlive their channel
    counts     text not null, -- JSON: domain's Counts, as sql-rows encodes it
    -- The order in which a range of time is read; target of the upsert.
    primary key (length, starts_at, channel_id)
) strict, without rowid;

create table statistics_arrivals (
    channel_id text not null primary key, -- no reference, like the counts
    arrived_at integer not null -- microseconds since 1970
) strict, without rowid;

create table statistics_writers (
    writer   blob not null primary key,
    number   integer not null,
    taken_at integer not null -- microseconds since 1970
) strict, without rowid;

-- Up to where the log is counted.
create table statistics_position (
    only_row   integer not null primary key default 1 check (only_row = 1),
    position   integer -- null: nothing is counted yet
) strict;

insert into statistics_position (only_row) values (1);
