-- The log of reports, one partition a day: a day that is too old goes as a whole. It has
-- the same columns as before, and its ids have another meaning.
--
-- An id is the id of the transaction that wrote the report, shifted by `xact_offset` and
-- then by 16 bits, plus its place among the reports of that transaction. So ids are unique,
-- and a reader that stays below the ids of all transactions under way has nothing appear
-- behind it.

alter table reports rename to reports_until_now;
alter table reports_until_now rename constraint reports_id_pkey to reports_until_now_id_pkey;

create table reports (
    id                bigint not null,
    arrived_at        timestamptz not null,
    credential_id     uuid not null, -- may be gone: evidence, no reference
    revision          integer not null,
    channel_id        text not null,
    sid               bytea not null,
    status            text not null,
    effect            text not null,
    recipient         text not null,
    sender            text not null,
    error_code        text,
    error_text        text,
    idempotency_token text,
    fields            json not null, -- not jsonb, which forgets the order of the fields
    -- Reports are found by the ids that the row of their message holds, and read in the
    -- order of ids. The time is there because partitions are cut by it.
    constraint reports_id_arrived_at_pkey primary key (id, arrived_at),
    -- No report is as large; one that is must not slow down everybody who reads the log.
    constraint reports_fields_size_check check (octet_length(fields::text) <= 262144)
) partition by range (arrived_at);

-- Reports of days that have no partition: a clock that was wrong, a journal that is old. A
-- report is never refused for want of a partition.
create table reports_default partition of reports default;

-- Makes the partition of a UTC day and moves the reports of that day there that are in the
-- default partition. True if there was none and now there is one.
--
-- The table is made first and attached then: that does not wait for those who write to
-- other partitions, nor they for it. A day of which too many reports have gathered in the
-- default partition is left as it is; they go one by one when they are old.
create function reports_make_partition(day date) returns boolean
language plpgsql as $$
declare
    name constant text := 'reports_' || to_char(day, 'YYYYMMDD');
    since constant timestamptz := day::timestamp at time zone 'UTC';
    until constant timestamptz := (day + 1)::timestamp at time zone 'UTC';
    gathered bigint;
begin
    -- Nobody writes there meanwhile, nor makes a partition: several processes may start at
    -- once.
    lock table reports_default in access exclusive mode;
    if to_regclass(name) is not null then
        return false;
    end if;
    select count(*) into gathered from (
        select from reports_default
        where arrived_at >= since and arrived_at < until
        limit 100001
    ) as those;
    if gathered > 100000 then
        return false;
    end if;
    execute format('create table %I (like reports including all)', name);
    if gathered > 0 then
        execute format(
            'with moved as (
                 delete from reports_default where arrived_at >= $1 and arrived_at < $2
                 returning *
             )
             insert into %I select * from moved',
            name
        ) using since, until;
    end if;
    execute format(
        'alter table reports attach partition %I for values from (%L) to (%L)',
        name, since, until
    );
    return true;
end
$$;

-- How ids are made, and which of them are gone.
create table report_log (
    only_row       boolean not null default true,
    -- Raised when a database comes to a cluster whose transaction ids are lower than those
    -- its ids were made of.
    xact_offset    bigint not null,
    -- The greatest id of a report that retention has removed; readers below it are told.
    pruned_through bigint not null default 0,
    constraint report_log_only_row_pkey primary key (only_row),
    -- A second row would make one id twice.
    constraint report_log_only_row_check check (only_row)
) with (fillfactor = 10);

-- Drops the partition of one day before `day` whose reports all have ids below `cut`, the
-- oldest such day there is, and notes what is gone. True if there was one.
--
-- A report may be on its way into an old day, so nobody writes while that is decided. It
-- takes no time; but whoever waits for the lock holds up all others behind him, so he does
-- not wait long, and tries again later.
create function reports_drop_day(day date, cut bigint) returns boolean
language plpgsql as $$
declare
    name text;
    last bigint;
begin
    -- One process at a time: what another one drops must not be found below.
    perform pg_advisory_xact_lock(hashtext('receiptd.reports_drop_day'));
    perform set_config('lock_timeout', '1s', true);
    for name in
        select class.relname
        from pg_inherits as inherits
        join pg_class as class on class.oid = inherits.inhrelid
        where inherits.inhparent = 'reports'::regclass
            and class.relname ~ '^reports_[0-9]{8}$'
            and class.relname < 'reports_' || to_char(day, 'YYYYMMDD') collate "C"
        order by class.relname
    loop
        execute format('select coalesce(max(id), 0) from %I', name) into last;
        continue when last >= cut;
        lock table only reports in access exclusive mode;
        execute format('lock table %I in access exclusive mode', name);
        execute format('select coalesce(max(id), 0) from %I', name) into last;
        continue when last >= cut;
        execute format('drop table %I', name);
        update report_log set pruned_through = last where pruned_through < last;
        return true;
    end loop;
    return false;
end
$$;

-- Above all ids there are. They are copied as they are: messages refer to them.
insert into report_log (xact_offset)
select greatest(
    0,
    coalesce((select max(id) >> 16 from reports_until_now), 0) + 1
        - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
);

-- The days of the log that is copied. No more than it can have grown in: a clock that was
-- wrong is worth no partition.
select reports_make_partition(day)
from (
    select distinct (arrived_at at time zone 'UTC')::date as day
    from reports_until_now
    where arrived_at between now() - interval '90 days' and now() + interval '7 days'
) as days;

insert into reports (
    id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
    sender, error_code, error_text, idempotency_token, fields
)
select
    id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
    sender, error_code, error_text, idempotency_token, fields
from reports_until_now;

drop table reports_until_now;

-- How far each reader of the log has got.
create table log_cursors (
    name     text collate "C" not null,
    position bigint not null,
    -- One cursor a name, which its reader finds and moves.
    constraint log_cursors_name_pkey primary key (name)
) with (fillfactor = 50);
