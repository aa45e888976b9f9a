//! Recording a batch: one statement, which is one transaction and one round trip.

use domain::{Effect, Report};
use sqlx::PgConnection;

use crate::reports::batch::Batch;

/// How many reports one statement takes. The statement's `1023` and `>> 10` are this number
/// too.
pub(crate) const BLOCK: usize = 1024;

/// How many statements one transaction has room for: an id is the transaction's, and 16 bits
/// that tell its reports apart.
pub(crate) const BLOCKS: usize = 64;

/// What each of the reports, at most [`BLOCK`], did. `nth` tells the statements of a
/// transaction apart, from 0 to less than [`BLOCKS`].
pub(crate) async fn record(
    connection: &mut PgConnection,
    reports: &[Report],
    nth: i64,
) -> Result<Vec<Effect>, sqlx::Error> {
    let batch = Batch::fold(reports);
    let new = insert(connection, &batch, nth).await?;

    let mut effects = vec![Effect::Duplicate; reports.len()];
    for logged in new {
        let place = usize::try_from(logged.place)
            .ok()
            .and_then(|at| batch.places.get(at));
        let report_and_effect = place.and_then(|at| reports.get(*at).zip(effects.get_mut(*at)));
        let Some((report, effect)) = report_and_effect else {
            return Err(sqlx::Error::Decode(
                "a place outside the batch came back".into(),
            ));
        };
        // The statement has compared the ranks; any above or below says the same.
        let rank = if logged.advanced { None } else { Some(u8::MAX) };
        *effect = Effect::of_new(&report.status, rank);
    }
    Ok(effects)
}

/// A report that the store did not have.
struct New {
    /// Its place in [`Batch::logged`].
    place: i32,
    /// Whether it moved its message.
    advanced: bool,
}

/// Writes a folded batch.
///
/// A report's id is made of the id of the transaction, the statement's number in it and the
/// report's place in the batch. What is new is decided by the upsert, under the lock of the
/// message's row: of the ids that the batch brings, the row takes those whose reports it has
/// not seen. So what belongs into the log is on the row afterwards, in its last block of ids,
/// and the place there is the revision; nothing else need be remembered, and no index on the
/// log is asked.
///
/// A message whose recipient was erased (domain's `Address::erased`, the word in the
/// statement) stays so, and so does what is reported of it from then on: its row is looked at
/// in any case.
///
/// A batch may have waited for the row until somebody with a later transaction id had written
/// it. Then the ids of a message do not grow with its revisions; `log.rs` hands its reports
/// out in the order of revisions all the same.
#[expect(
    clippy::too_many_lines,
    reason = "one statement, as long as its columns are many"
)]
async fn insert(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    nth: i64,
) -> Result<Vec<New>, sqlx::Error> {
    let messages = &batch.messages;
    let logged = &batch.logged;
    let [
        accepted_at,
        scheduled_at,
        queued_at,
        sending_at,
        sent_at,
        partially_delivered_at,
        canceled_at,
        failed_at,
        undelivered_at,
        delivered_at,
        read_at,
    ] = &messages.times;
    sqlx::query_as!(
        New,
        r#"
with block as materialized (
    -- Without a `from` the planner sees that this is one row; of a table it expects thousands.
    select
        ((pg_current_xact_id()::text::bigint + (select xact_offset from report_log)) << 16)
            + ($39::bigint << 10) as first_id
),
moved as (
    insert into messages as stored (
        channel_id, sid, recipient, sender, first_reported_at, last_reported_at, duplicates,
        seen_mask, status_rank, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
        partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at, read_at,
        error_at, error_code, error_text, report_ids, seen_fingerprints, previous_rank
    )
    select
        channel_id, sid, recipient, sender, first_reported_at, last_reported_at, duplicates,
        seen_mask, status_rank, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
        partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at, read_at,
        error_at, error_code, error_text,
        case
            when logged = 1 then array[(select first_id from block) + first_place]
            else array(
                select first_id + place
                from block, generate_series(first_place, first_place + logged - 1) as place
            )
        end,
        case
            when bit_count(seen_mask::bit(32)) < logged
            then array_remove(
                ($2::bigint[])[first_place + 1 : first_place + logged], null
            )
        end,
        -1
    from unnest(
        $3::text[], $4::bytea[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
        $9::bigint[], $10::integer[], $11::smallint[], $12::timestamptz[], $13::timestamptz[],
        $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[],
        $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::timestamptz[],
        $22::timestamptz[], $23::timestamptz[], $24::text[], $25::text[], $26::integer[],
        $27::integer[]
    ) with ordinality as incoming (
        channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
        duplicates, seen_mask, status_rank, accepted_at, scheduled_at,
        queued_at, sending_at, sent_at, partially_delivered_at,
        canceled_at, failed_at, undelivered_at, delivered_at,
        read_at, error_at, error_code, error_text, first_place, logged, nth
    )
    order by nth
    on conflict (channel_id, sid) do update set
        recipient = case
            when stored.recipient = 'erased' then stored.recipient
            when (excluded.first_reported_at, excluded.recipient, excluded.sender)
                < (stored.first_reported_at, stored.recipient, stored.sender)
            then excluded.recipient else stored.recipient
        end,
        sender = case
            when (excluded.first_reported_at, excluded.recipient, excluded.sender)
                < (stored.first_reported_at, stored.recipient, stored.sender)
            then excluded.sender else stored.sender
        end,
        first_reported_at = least(stored.first_reported_at, excluded.first_reported_at),
        last_reported_at = greatest(stored.last_reported_at, excluded.last_reported_at),
        duplicates = stored.duplicates + excluded.duplicates
            + bit_count((stored.seen_mask & excluded.seen_mask)::bit(32))
            + case
                when stored.seen_fingerprints && excluded.seen_fingerprints
                then (
                    select count(*) from unnest(excluded.seen_fingerprints) as print
                    where print = any (stored.seen_fingerprints)
                )
                else 0
            end,
        seen_mask = stored.seen_mask | excluded.seen_mask,
        status_rank = greatest(stored.status_rank, excluded.status_rank),
        previous_rank = case
            when stored.seen_mask & excluded.seen_mask < excluded.seen_mask
                or not coalesce(
                    excluded.seen_fingerprints <@ stored.seen_fingerprints,
                    excluded.seen_fingerprints is null
                )
            then coalesce(stored.status_rank, -1)
        end,
        accepted_at = least(stored.accepted_at, excluded.accepted_at),
        scheduled_at = least(stored.scheduled_at, excluded.scheduled_at),
        queued_at = least(stored.queued_at, excluded.queued_at),
        sending_at = least(stored.sending_at, excluded.sending_at),
        sent_at = least(stored.sent_at, excluded.sent_at),
        partially_delivered_at =
            least(stored.partially_delivered_at, excluded.partially_delivered_at),
        canceled_at = least(stored.canceled_at, excluded.canceled_at),
        failed_at = least(stored.failed_at, excluded.failed_at),
        undelivered_at = least(stored.undelivered_at, excluded.undelivered_at),
        delivered_at = least(stored.delivered_at, excluded.delivered_at),
        read_at = least(stored.read_at, excluded.read_at),
        report_ids = stored.report_ids || case
            when stored.seen_mask & excluded.seen_mask = 0
                and (stored.seen_fingerprints && excluded.seen_fingerprints) is not true
            then excluded.report_ids
            else array(
                select id
                from (select (excluded.report_ids[1] & 1023)::integer as place) as first,
                unnest(
                    excluded.report_ids,
                    ($1::integer[])[place + 1 : place + cardinality(excluded.report_ids)],
                    ($2::bigint[])[place + 1 : place + cardinality(excluded.report_ids)]
                ) as report (id, seen_bit, print)
                where seen_bit & stored.seen_mask = 0
                    and (print = any (stored.seen_fingerprints)) is not true
                order by id
            )
        end,
        seen_fingerprints = case
            when stored.seen_fingerprints && excluded.seen_fingerprints
            then stored.seen_fingerprints || array(
                select print
                from unnest(excluded.seen_fingerprints) with ordinality as seen (print, place)
                where print <> all (stored.seen_fingerprints)
                order by place
            )
            else stored.seen_fingerprints || excluded.seen_fingerprints
        end,
        error_at = least(stored.error_at, excluded.error_at),
        error_code = case
            when excluded.error_at is null then stored.error_code
            when (stored.error_at, stored.error_code, stored.error_text)
                <= (excluded.error_at, excluded.error_code, excluded.error_text)
            then stored.error_code else excluded.error_code
        end,
        error_text = case
            when excluded.error_at is null or stored.recipient = 'erased'
            then stored.error_text
            when (stored.error_at, stored.error_code, stored.error_text)
                <= (excluded.error_at, excluded.error_code, excluded.error_text)
            then stored.error_text else excluded.error_text
        end
    returning channel_id, sid, previous_rank, report_ids, recipient = 'erased' as erased
),
logged as (
    insert into reports (
        id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
        sender, error_code, error_text, idempotency_token, fields
    )
    select
        id, arrived_at, credential_id, revision, channel_id, sid, status,
        case when rank <= previous_rank then 'late' else effect end,
        case when erased then 'erased' else recipient end, sender, error_code,
        case when not erased then error_text end, idempotency_token,
        case when erased then '{}' else fields end::json
    from (
        select
            channel_id, sid, previous_rank, erased, unnest(report_ids) as id,
            generate_subscripts(report_ids, 1) as revision,
            report_ids[cardinality(report_ids)] >> 10 as block
        from moved
        where previous_rank is not null
    ) as kept
    join unnest(
        $28::smallint[], $29::text[], $30::timestamptz[], $31::uuid[], $32::text[],
        $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::text[]
    ) with ordinality as incoming (
        rank, effect, arrived_at, credential_id, status, recipient, sender, error_code,
        error_text, idempotency_token, fields, nth
    ) on nth = (id & 1023) + 1 and id >> 10 = block
    returning id, effect
)
select (id & 1023)::integer as "place!", effect = 'advanced' as "advanced!"
from logged
"#,
        &logged.seen_bit,
        sparse(&logged.fingerprint) as _,
        &messages.channel_id as _,
        &messages.sid,
        &messages.recipient,
        &messages.sender,
        &messages.first_reported_at,
        &messages.last_reported_at,
        &messages.duplicates,
        &messages.seen_mask,
        &messages.status_rank as _,
        sparse(accepted_at) as _,
        sparse(scheduled_at) as _,
        sparse(queued_at) as _,
        sparse(sending_at) as _,
        sparse(sent_at) as _,
        sparse(partially_delivered_at) as _,
        sparse(canceled_at) as _,
        sparse(failed_at) as _,
        sparse(undelivered_at) as _,
        sparse(delivered_at) as _,
        sparse(read_at) as _,
        sparse(&messages.error_at) as _,
        sparse(&messages.error_code) as _,
        sparse(&messages.error_text) as _,
        &messages.first_place,
        &messages.logged,
        &logged.rank as _,
        &logged.effect as _,
        &logged.arrived_at,
        &logged.credential_id,
        &logged.status as _,
        &logged.recipient as _,
        &logged.sender as _,
        sparse(&logged.error_code) as _,
        sparse(&logged.error_text) as _,
        sparse(&logged.idempotency_token) as _,
        &logged.fields as _,
        nth,
    )
    .fetch_all(connection)
    .await
}

/// Nothing for a column without a value: `unnest` fills short arrays up with nulls, and most
/// batches leave most of the times empty.
pub(crate) fn sparse<T>(column: &[Option<T>]) -> &[Option<T>] {
    if column.iter().all(Option::is_none) {
        &[]
    } else {
        column
    }
}
