-- Further ids of messages: domain's alias.rs. Only integrators with two ids have rows here.
create table message_aliases (
    channel_id text collate "C" not null,
    alias      bytea not null, -- MessageSid::to_compact
    sid        bytea not null, -- MessageSid::to_compact of the message
    -- Finds the message of a report, and the aliases of a channel.
    constraint message_aliases_channel_id_alias_pkey primary key (channel_id, alias)
);
-- Finds the aliases of messages that are erased or removed.
create index message_aliases_channel_id_sid_idx on message_aliases (channel_id, sid);
