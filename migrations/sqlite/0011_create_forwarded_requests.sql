-- Where requests of the channel that are not reports are forwarded to; null: nowhere.
alter table channels add column forward_url text;

-- Requests that wait to be forwarded. The PostgreSQL file beside this one has the same table, with
-- the reason of each column.
create table forwarded_requests (
    channel_id      text not null,
    body_hash       blob not null,
    -- Before the large column, so that counting does not read it.
    size            integer not null,
    arrived_at      integer not null,
    next_attempt_at integer not null,
    attempts        integer not null default 0,
    failed_at       integer,
    last_error      text,
    request         blob not null, -- domain's ForwardedRequest, sealed
    -- Finds a claimed request; a redelivered request is stored once.
    constraint forwarded_requests_channel_id_body_hash_pkey primary key (channel_id, body_hash),
    -- Requests of a removed channel are not forwarded.
    constraint forwarded_requests_channel_id_fkey
        foreign key (channel_id) references channels (id) on delete cascade
) strict;

-- Finds the requests of a channel that are due; counts those that wait without reading them.
create index forwarded_requests_channel_id_next_attempt_at_idx
    on forwarded_requests (channel_id, next_attempt_at, size);

-- Finds the requests that are too old.
create index forwarded_requests_arrived_at_idx on forwarded_requests (arrived_at);
