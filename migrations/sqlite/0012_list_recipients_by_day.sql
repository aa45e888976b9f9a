-- The index of recipients by day. Entries of a day lie together: they are added close to each other
-- and removed together, so that an entry is written to one place and its message need not be read.
create table recipients_by_day (
    day            integer not null, -- days from 1970 (UTC) to the first report
    recipient_hash integer not null,
    channel_id     text not null,
    sid            blob not null,
    primary key (day, recipient_hash, channel_id, sid)
) strict, without rowid;

insert into recipients_by_day (day, recipient_hash, channel_id, sid)
select
    (message.first_reported_at - (message.first_reported_at % 86400000000 + 86400000000) % 86400000000)
        / 86400000000,
    entry.recipient_hash, entry.channel_id, entry.sid
from message_recipients as entry
join messages as message on message.channel_id = entry.channel_id and message.sid = entry.sid;

drop trigger messages_remove_listed;

drop table message_recipients;

create trigger messages_remove_listed after delete on messages
begin
    delete from problem_messages where channel_id = old.channel_id and sid = old.sid;
end;

alter table erasures add column recipient_hash integer; -- null when finished

alter table statistics_position add column erasures integer not null default 0; -- finished ones
