-- Further ids of messages: domain's alias.rs. Only integrators with two ids have rows here.
create table message_aliases (
    channel_id text not null,
    alias      blob not null, -- MessageSid::to_compact
    sid        blob not null, -- MessageSid::to_compact of the message
    -- Finds the message of a report, and the aliases of a channel.
    constraint message_aliases_channel_id_alias_pkey primary key (channel_id, alias)
) strict;
-- Finds the aliases of messages that are erased or removed.
create index message_aliases_channel_id_sid_idx on message_aliases (channel_id, sid);
