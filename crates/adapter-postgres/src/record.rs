//! Recording a batch: one statement, which is one transaction and one round trip.

use domain::{Effect, Report};
use sqlx::PgConnection;

use crate::batch::Batch;

/// How many reports one statement takes; the increment of `reports_id_blocks`, of which a
/// statement takes one number. Handing out ids so costs one call a batch, and they grow
/// with time on all replicas together, not on each alone.
pub(crate) const BLOCK: usize = 1024;

/// What each of the reports, at most [`BLOCK`], did.
pub(crate) async fn record(
    connection: &mut PgConnection,
    reports: &[Report],
) -> Result<Vec<Effect>, sqlx::Error> {
    let batch = Batch::fold(reports);
    let new = insert(connection, &batch).await?;

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
/// What is new is decided by the upsert, under the lock of the message's row: of the ids
/// that a batch brings, the row takes those whose reports it has not seen. So a report
/// belongs into the log if its id is on the row afterwards, and its place there is its
/// revision; nothing else need be remembered, and no index on the log is asked.
async fn insert(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Vec<New>, sqlx::Error> {
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
    select nextval('reports_id_blocks') as first_id
),
moved as (
    insert into messages as old (
        channel_id, sid, recipient, sender, first_reported_at, last_reported_at, duplicates,
        seen_mask, status_rank, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
        partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at, read_at,
        error_at, error_code, error_text, report_ids, seen_fingerprints
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
        end
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
            when (excluded.first_reported_at, excluded.recipient, excluded.sender)
                < (old.first_reported_at, old.recipient, old.sender)
            then excluded.recipient else old.recipient
        end,
        sender = case
            when (excluded.first_reported_at, excluded.recipient, excluded.sender)
                < (old.first_reported_at, old.recipient, old.sender)
            then excluded.sender else old.sender
        end,
        first_reported_at = least(old.first_reported_at, excluded.first_reported_at),
        last_reported_at = greatest(old.last_reported_at, excluded.last_reported_at),
        duplicates = old.duplicates + excluded.duplicates
            + bit_count((old.seen_mask & excluded.seen_mask)::bit(32))
            + case
                when old.seen_fingerprints && excluded.seen_fingerprints
                then (
                    select count(*) from unnest(excluded.seen_fingerprints) as print
                    where print = any (old.seen_fingerprints)
                )
                else 0
            end,
        seen_mask = old.seen_mask | excluded.seen_mask,
        status_rank = greatest(old.status_rank, excluded.status_rank),
        previous_rank = old.status_rank,
        accepted_at = least(old.accepted_at, excluded.accepted_at),
        scheduled_at = least(old.scheduled_at, excluded.scheduled_at),
        queued_at = least(old.queued_at, excluded.queued_at),
        sending_at = least(old.sending_at, excluded.sending_at),
        sent_at = least(old.sent_at, excluded.sent_at),
        partially_delivered_at =
            least(old.partially_delivered_at, excluded.partially_delivered_at),
        canceled_at = least(old.canceled_at, excluded.canceled_at),
        failed_at = least(old.failed_at, excluded.failed_at),
        undelivered_at = least(old.undelivered_at, excluded.undelivered_at),
        delivered_at = least(old.delivered_at, excluded.delivered_at),
        read_at = least(old.read_at, excluded.read_at),
        report_ids = old.report_ids || case
            when old.seen_mask & excluded.seen_mask = 0
                and (old.seen_fingerprints && excluded.seen_fingerprints) is not true
            then excluded.report_ids
            else array(
                select id
                from (select excluded.report_ids[1] - first_id as place from block) as first,
                    unnest(
                        excluded.report_ids,
                        ($1::integer[])[place + 1 : place + cardinality(excluded.report_ids)],
                        ($2::bigint[])[place + 1 : place + cardinality(excluded.report_ids)]
                    ) as report (id, seen_bit, print)
                where seen_bit & old.seen_mask = 0
                    and (print = any (old.seen_fingerprints)) is not true
                order by id
            )
        end,
        seen_fingerprints = case
            when old.seen_fingerprints && excluded.seen_fingerprints
            then old.seen_fingerprints || array(
                select print
                from unnest(excluded.seen_fingerprints) with ordinality as seen (print, place)
                where print <> all (old.seen_fingerprints)
                order by place
            )
            else old.seen_fingerprints || excluded.seen_fingerprints
        end,
        error_at = case
            when excluded.error_at is null then old.error_at
            else least(old.error_at, excluded.error_at)
        end,
        error_code = case
            when excluded.error_at is null then old.error_code
            when (old.error_at, old.error_code, old.error_text)
                <= (excluded.error_at, excluded.error_code, excluded.error_text)
            then old.error_code else excluded.error_code
        end,
        error_text = case
            when excluded.error_at is null then old.error_text
            when (old.error_at, old.error_code, old.error_text)
                <= (excluded.error_at, excluded.error_code, excluded.error_text)
            then old.error_text else excluded.error_text
        end
    returning channel_id, sid, previous_rank, report_ids
),
logged as (
    insert into reports (
        id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
        sender, error_code, error_text, idempotency_token, fields
    )
    select
        id, arrived_at, credential_id, revision, channel_id, sid, status,
        case when rank <= previous_rank then 'late' else effect end,
        recipient, sender, error_code, error_text, idempotency_token, fields::json
    from (
        select
            channel_id, sid, previous_rank, unnest(report_ids) as id,
            generate_subscripts(report_ids, 1) as revision
        from moved
    ) as kept
    join (
        select incoming.*, first_id + place - 1 as id
        from block, unnest(
            $28::smallint[], $29::text[], $30::timestamptz[], $31::uuid[], $32::text[],
            $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::text[]
        ) with ordinality as incoming (
            rank, effect, arrived_at, credential_id, status, recipient, sender, error_code,
            error_text, idempotency_token, fields, place
        )
    ) as incoming using (id)
    returning id, effect
)
select (id - first_id)::integer as "place!", effect = 'advanced' as "advanced!"
from logged, block
"#,
        &logged.seen_bit,
        &logged.fingerprint as _,
        &messages.channel_id as _,
        &messages.sid,
        &messages.recipient,
        &messages.sender,
        &messages.first_reported_at,
        &messages.last_reported_at,
        &messages.duplicates,
        &messages.seen_mask,
        &messages.status_rank as _,
        accepted_at as _,
        scheduled_at as _,
        queued_at as _,
        sending_at as _,
        sent_at as _,
        partially_delivered_at as _,
        canceled_at as _,
        failed_at as _,
        undelivered_at as _,
        delivered_at as _,
        read_at as _,
        &messages.error_at as _,
        &messages.error_code as _,
        &messages.error_text as _,
        &messages.first_place,
        &messages.logged,
        &logged.rank as _,
        &logged.effect as _,
        &logged.arrived_at,
        &logged.credential_id,
        &logged.status as _,
        &logged.recipient as _,
        &logged.sender as _,
        &logged.error_code as _,
        &logged.error_text as _,
        &logged.idempotency_token as _,
        &logged.fields,
    )
    .fetch_all(connection)
    .await
}
