-- Where requests of the channel that are not reports are forwarded to; null: nowhere.
alter table channels add column forward_url text;

-- Requests that wait to be forwarded. They are removed when they are forwarded, or after three days.
create table forwarded_requests (
    channel_id      text collate "C" not null,
    body_hash       bytea not null, -- keyed with the server secret
    request         bytea not null, -- domain's ForwardedRequest, sealed
    size            integer not null, -- of the column above, in bytes
    arrived_at      timestamptz not null,
    next_attempt_at timestamptz not null, -- also the end of the lease of a claimed request
    attempts        integer not null default 0, -- how often it was claimed
    failed_at       timestamptz, -- when an attempt last failed; null: never
    last_error      text, -- why
    -- Finds a claimed request; a redelivered request is stored once.
    constraint forwarded_requests_channel_id_body_hash_pkey primary key (channel_id, body_hash),
    -- Requests of a removed channel are not forwarded.
    constraint forwarded_requests_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
);

-- Sealed bytes cannot be compressed.
alter table forwarded_requests alter column request set storage external;

-- Finds the requests of a channel that are due; counts those that wait without reading them.
create index forwarded_requests_channel_id_next_attempt_at_idx
    on forwarded_requests (channel_id, next_attempt_at) include (size);

-- Finds the requests that are too old.
create index forwarded_requests_arrived_at_idx on forwarded_requests (arrived_at);
