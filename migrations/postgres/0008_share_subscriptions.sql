-- Who pushes events, and until when that is believed of them.
create table workers (
    name        text collate "C" not null,
    alive_until timestamptz not null,
    -- One row a worker, which it writes anew now and then.
    constraint workers_name_pkey primary key (name)
) with (fillfactor = 50);

-- How many subscriptions each worker has at most, so that all have some.
create view worker_share as
select (active.number + alive.number - 1) / alive.number as subscriptions
from (
    select count(*) as number from subscriptions where state = 'active' and not removed
) as active
cross join (
    select greatest(count(*), 1) as number
    from workers
    -- A time further ahead than the longest lease, and a minute, was written before the clock was set back.
    where alive_until > now() and alive_until <= now() + interval '11 minutes'
) as alive;
