-- Access to the integrator's own records of a channel's messages, and what reconciliation did with
-- it. The PostgreSQL file beside this one has the same table, with the reason of each column.
create table reconciliations (
    channel_id      text not null,
    account_sid     text not null, -- domain's AccountSid
    api_key_sid     text not null, -- domain's ApiKeySid
    api_key_secret  blob not null, -- sealed
    changed_at      integer not null,
    checked         integer not null default 0,
    recovered       integer not null default 0,
    last_run_at     integer,
    last_error      text,
    checked_through integer,
    holder          text,
    free_at         integer not null default 0,
    -- Finds the row of a channel; the order of the list.
    constraint reconciliations_channel_id_pkey primary key (channel_id),
    -- A removed channel is not reconciled.
    constraint reconciliations_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;
