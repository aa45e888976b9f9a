-- Who pushes events, and until when that is believed of them.
create table workers (
    name        text not null,
    alive_until integer not null,
    -- One row a worker, which it writes anew now and then.
    constraint workers_name_pkey primary key (name)
) strict;

-- How many subscriptions each worker has at most, so that all have some.
create view worker_share as
select (active.number + alive.number - 1) / alive.number as subscriptions
from (
    select count(*) as number from subscriptions where state = 'active' and not removed
) as active
cross join (
    select max(count(*), 1) as number
    from workers
    where alive_until > cast(unixepoch('subsec') * 1000000 as integer)
) as alive;
