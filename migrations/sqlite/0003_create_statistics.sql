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

create table problem_messages (
    channel_id   text not null,
    sid          blob not null,
    reported_at  integer not null, -- microseconds since 1970
    rank         integer,
    code         text,
    contradicted integer not null,
    primary key (channel_id, sid)
) strict, without rowid;

create index problem_messages_rank_idx
    on problem_messages (rank, reported_at, channel_id, sid);
create index problem_messages_code_idx
    on problem_messages (code, reported_at, channel_id, sid);
create index problem_messages_contradicted_idx
    on problem_messages (reported_at, channel_id, sid) where contradicted;

create table message_recipients (
    recipient_hash integer not null,
    channel_id     text not null,
    sid            blob not null,
    primary key (recipient_hash, channel_id, sid)
) strict, without rowid;

create index message_recipients_channel_id_sid_idx on message_recipients (channel_id, sid);

create trigger messages_remove_listed after delete on messages
begin
    delete from problem_messages where channel_id = old.channel_id and sid = old.sid;
    delete from message_recipients where channel_id = old.channel_id and sid = old.sid;
end;

-- Up to where the log is counted.
create table statistics_position (
    only_row   integer not null primary key default 1 check (only_row = 1),
    position   integer, -- null: nothing is counted yet
    zone       text, -- whose days are counted
    days_since integer, -- microseconds since 1970; null: always
    next_day   integer -- to be made from quarters of an hour
) strict;

insert into statistics_position (only_row) values (1);
