-- The index of recipients by day. Entries of a day lie together: they are added close to each other
-- and removed together, so that an entry is written to one place and its message need not be read.
create table recipients_by_day (
    day            integer not null, -- days from 1970 (UTC) to the first report
    recipient_hash bigint not null, -- domain's RecipientHash
    channel_id     text collate "C" not null,
    sid            bytea not null,
    -- Search by recipient, one day after the other; target of the upsert.
    constraint recipients_by_day_day_recipient_hash_channel_id_sid_pkey
        primary key (day, recipient_hash, channel_id, sid)
);

insert into recipients_by_day (day, recipient_hash, channel_id, sid)
select floor(extract(epoch from first_reported_at) / 86400)::integer, recipient_hash, channel_id,
    sid
from message_recipients
join messages using (channel_id, sid);

drop table message_recipients;

-- Removes the entries of messages that retention removes from the list of problems. Those of
-- recipients are removed by day.
create or replace function remove_listed_messages() returns trigger language plpgsql as $$
begin
    delete from problem_messages as problem
    using removed
    where problem.channel_id = removed.channel_id and problem.sid = removed.sid;
    return null;
end
$$;

-- The hash of the recipient, by which its entries are removed at the end; null when finished.
alter table erasures add column recipient_hash bigint;

-- How many erasures have finished: a step that was made from what was read before one finished
-- could list the erased recipient, and is not applied.
alter table statistics_position add column erasures bigint not null default 0;
