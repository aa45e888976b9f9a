-- Alerts of the integrator that it could not hand over a report: one row per message. At most 10,000
-- of a channel, for 7 days. Retention reads the whole table.
create table callback_alerts (
    channel_id text collate "C" not null,
    sid        bytea not null, -- MessageSid::to_compact
    code       text collate "C" not null, -- of the latest alert of the message
    alerted_at timestamptz not null, -- when that alert arrived
    looked_up  boolean not null default false, -- false: due to be looked up
    -- Target of the upsert.
    constraint callback_alerts_channel_id_sid_pkey primary key (channel_id, sid),
    -- Alerts of unknown channels are not kept, and those of a removed channel go with it.
    constraint callback_alerts_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) with (fillfactor = 70);

-- Finds the oldest ones that are due, and whether there are any.
create index callback_alerts_due_idx on callback_alerts (channel_id, alerted_at, sid)
    where not looked_up;

-- Finds those beyond the limit of a channel, and counts those of the last minutes.
create index callback_alerts_channel_id_alerted_at_idx
    on callback_alerts (channel_id, alerted_at, sid);
