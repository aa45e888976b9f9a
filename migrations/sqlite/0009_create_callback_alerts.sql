-- Alerts of the integrator that it could not hand over a report: one row per message. The
-- PostgreSQL file beside this one has the same table, with the reason of each column.
create table callback_alerts (
    channel_id text not null,
    sid        blob not null,
    code       text not null,
    alerted_at integer not null,
    looked_up  integer not null default 0,
    -- Target of the upsert.
    constraint callback_alerts_channel_id_sid_pkey primary key (channel_id, sid),
    -- Alerts of unknown channels are not kept, and those of a removed channel go with it.
    constraint callback_alerts_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- Finds the oldest ones that are due, and whether there are any.
create index callback_alerts_due_idx on callback_alerts (channel_id, alerted_at, sid)
    where looked_up = 0;

-- Finds those beyond the limit of a channel, and counts those of the last minutes.
create index callback_alerts_channel_id_alerted_at_idx
    on callback_alerts (channel_id, alerted_at, sid);
