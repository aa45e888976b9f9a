-- Access to the integrator's own records of a channel's messages, and what reconciliation did with
-- it. At most one row per channel. A table of its own, because receivers read all of `channels`,
-- and because the figures change every few minutes.
create table reconciliations (
    channel_id      text collate "C" not null,
    account_sid     text not null, -- domain's AccountSid
    api_key_sid     text not null, -- domain's ApiKeySid
    api_key_secret  bytea not null, -- sealed
    changed_at      timestamptz not null,
    checked         bigint not null default 0, -- messages compared with the records
    recovered       bigint not null default 0, -- reports that had not arrived
    last_run_at     timestamptz, -- null: never
    last_error      text, -- null: the last run did not fail
    checked_through timestamptz, -- messages first reported before need no check; null: none is checked
    holder          text, -- which process reconciles; null: none did
    free_at         timestamptz not null default to_timestamp(0), -- when another one may
    -- Finds the row of a channel; the order of the list.
    constraint reconciliations_channel_id_pkey primary key (channel_id),
    -- A removed channel is not reconciled.
    constraint reconciliations_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);
