//! Recording a batch: one statement, which is one transaction and one round trip.

use domain::seen_reports::MAX_FINGERPRINTS;
use domain::{Effect, Report};
use sqlx::PgConnection;

use crate::reports::batch::{Batch, sparse};

/// How many reports one statement records.
pub(crate) const BLOCK_REPORTS: usize = 1024;

/// How many bits of an id are the index of the report in its transaction (`first_report_id` in
/// the schema).
const INDEX_BITS: i32 = 16;

/// How many statements a transaction may execute.
pub(crate) const MAX_BLOCKS: usize = (1 << INDEX_BITS) / BLOCK_REPORTS;

/// Records at most [`BLOCK_REPORTS`] reports and returns the effect of each. `first_index` is the
/// index of the first one in the transaction, a multiple of [`BLOCK_REPORTS`].
pub(crate) async fn record(
    connection: &mut PgConnection,
    reports: &[Report],
    first_index: i64,
) -> Result<Vec<Effect>, sqlx::Error> {
    let batch = Batch::fold(reports);
    let logged = insert(connection, &batch, first_index).await?;

    let mut effects = vec![Effect::Duplicate; reports.len()];
    for new in logged {
        let index = usize::try_from(new.index).ok();
        let index = index.and_then(|index| batch.report_indexes.get(index));
        let report = index.and_then(|index| reports.get(*index).zip(effects.get_mut(*index)));
        let Some((report, effect)) = report else {
            return Err(sqlx::Error::Decode(
                "the statement returned an index outside the batch".into(),
            ));
        };
        // The statement has compared the ranks: any lower or higher one gives the same result.
        let rank = if new.advanced { None } else { Some(u8::MAX) };
        *effect = Effect::of_new(&report.status, rank);
    }
    Ok(effects)
}

/// A report that was added to the log.
struct NewReport {
    /// Its index in [`Batch::reports`].
    index: i32,
    /// Whether it advanced the status of its message.
    advanced: bool,
}

/// Writes a folded batch and returns the reports that were new.
///
/// A report's id consists of the transaction's id and the report's index in the transaction. The
/// upsert decides, under the lock of the message row, which reports are new: it appends to the
/// row those ids of the batch whose reports it has not seen. The position of an id there is the
/// report's revision. So the log rows to write follow from the returned message rows, and the log
/// needs no index besides its key.
///
/// An erased message (its recipient is the word of domain's `Address::erased`) stays erased, and
/// its later reports are erased before they are logged.
///
/// A batch may wait for a row until a transaction with a higher id has written it. Then the ids
/// of a message are not in the order of its revisions; readers return its reports in that order
/// all the same (`sql_rows::log`).
#[expect(
    clippy::too_many_lines,
    reason = "one statement with a line for each of its many columns"
)]
async fn insert(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    first_index: i64,
) -> Result<Vec<NewReport>, sqlx::Error> {
    let messages = &batch.messages;
    let reports = &batch.reports;
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
        NewReport,
        r#"
with
-- The id of the first report of this statement: `first_report_id` of the transaction, written
-- out because inlining the function costs 3 % of a small batch, plus the index of the first
-- report. The subselect, instead of a `from`, tells the planner that this is one row.
block as materialized (
    select
        ((pg_current_xact_id()::text::bigint + (select xact_offset from report_log))
            << $41::integer) + $40::bigint as first_id
),
-- Upserts the messages, in the order of their keys so that concurrent batches never deadlock.
-- Every column is joined with what is stored: ranks by `greatest`, times by `least`, masks by
-- union. Returns what the log needs of each row.
upserted as (
    insert into messages as stored (
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
        -- The ids of its reports of this batch.
        case
            when reports = 1 then array[(select first_id from block) + first_index]
            else array(
                select first_id + index
                from block, generate_series(first_index, first_index + reports - 1) as index
            )
        end,
        -- The fingerprints of those that the mask has no bit for.
        case
            when bit_count(seen_mask::bit(32)) < reports
            then array_remove(
                ($2::bigint[])[first_index + 1 : first_index + reports], null
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
        read_at, error_at, error_code, error_text, first_index, reports, nth
    )
    order by nth
    on conflict (channel_id, sid) do update set
        -- The parties of the earliest report.
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
        -- Duplicates within the batch, and reports of the batch that were seen before or exceed
        -- the number of fingerprints.
        duplicates = stored.duplicates + excluded.duplicates
            + bit_count((stored.seen_mask & excluded.seen_mask)::bit(32))
            + case
                when stored.seen_fingerprints && excluded.seen_fingerprints
                    or cardinality(stored.seen_fingerprints)
                        + cardinality(excluded.seen_fingerprints) > $42::integer
                then cardinality(excluded.seen_fingerprints) - least(
                    (
                        select count(*) from unnest(excluded.seen_fingerprints) as fingerprint
                        where fingerprint <> all (stored.seen_fingerprints)
                    ),
                    greatest($42::integer - cardinality(stored.seen_fingerprints), 0)
                )
                else 0
            end,
        seen_mask = stored.seen_mask | excluded.seen_mask,
        status_rank = greatest(stored.status_rank, excluded.status_rank),
        -- Changes only if the batch has a report that was not seen before.
        previous_status_rank = case
            when stored.seen_mask & excluded.seen_mask < excluded.seen_mask
                or not coalesce(
                    excluded.seen_fingerprints <@ stored.seen_fingerprints,
                    excluded.seen_fingerprints is null
                )
            then stored.status_rank else stored.previous_status_rank
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
        -- Appends the ids of the reports that were not seen before and do not exceed the number of
        -- fingerprints: of all in the common case.
        report_ids = stored.report_ids || case
            when stored.seen_mask & excluded.seen_mask = 0
                and (stored.seen_fingerprints && excluded.seen_fingerprints) is not true
                and (
                    cardinality(stored.seen_fingerprints)
                        + cardinality(excluded.seen_fingerprints) > $42::integer
                ) is not true
            then excluded.report_ids
            else array(
                select id
                from (
                    select id, fingerprint, count(fingerprint) over (order by id) as nth
                    from (
                        select (excluded.report_ids[1] - first_id)::integer as index from block
                    ) as first,
                    unnest(
                        excluded.report_ids,
                        ($1::integer[])[index + 1 : index + cardinality(excluded.report_ids)],
                        ($2::bigint[])[index + 1 : index + cardinality(excluded.report_ids)]
                    ) as report (id, seen_bit, fingerprint)
                    where seen_bit & stored.seen_mask = 0
                        and (fingerprint = any (stored.seen_fingerprints)) is not true
                ) as new
                where fingerprint is null
                    or nth + coalesce(cardinality(stored.seen_fingerprints), 0) <= $42::integer
                order by id
            )
        end,
        seen_fingerprints = case
            when stored.seen_fingerprints && excluded.seen_fingerprints
                or cardinality(stored.seen_fingerprints)
                    + cardinality(excluded.seen_fingerprints) > $42::integer
            then stored.seen_fingerprints || array(
                select fingerprint
                from unnest(excluded.seen_fingerprints) with ordinality as seen (fingerprint, nth)
                where fingerprint <> all (stored.seen_fingerprints)
                order by nth
                limit greatest($42::integer - cardinality(stored.seen_fingerprints), 0)
            )
            else stored.seen_fingerprints || excluded.seen_fingerprints
        end,
        -- The earliest error.
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
    returning channel_id, sid, previous_status_rank, report_ids, recipient = 'erased' as erased
),
-- The ids of this statement on the upserted rows, each with its revision. Other ids may be higher.
numbered as (
    select channel_id, sid, previous_status_rank, erased, id, revision
    from (
        select
            channel_id, sid, previous_status_rank, erased, unnest(report_ids) as id,
            generate_subscripts(report_ids, 1) as revision
        from upserted
    ) as report
    where id >= (select first_id from block)
        and id < (select first_id from block) + cardinality($1::integer[])
),
-- Logs the new reports. One whose status is not above that before the batch is late.
logged as (
    insert into reports (
        id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
        sender, error_code, error_text, idempotency_token, happened_at, fields
    )
    select
        id, arrived_at, credential_id, revision, channel_id, sid, status,
        case when rank <= previous_status_rank then 'late' else effect end,
        case when erased then 'erased' else recipient end, sender, error_code,
        case when not erased then error_text end, idempotency_token, happened_at,
        case when erased then '{}' else fields end::json
    from numbered
    join unnest(
        $28::smallint[], $29::text[], $30::timestamptz[], $31::uuid[], $32::text[],
        $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::timestamptz[],
        $39::text[]
    ) with ordinality as incoming (
        rank, effect, arrived_at, credential_id, status, recipient, sender, error_code,
        error_text, idempotency_token, happened_at, fields, nth
    ) on nth = id - (select first_id from block) + 1
    returning id, effect
)
select (id - first_id)::integer as "index!", effect = 'advanced' as "advanced!"
from logged, block
"#,
        &reports.seen_bit,
        sparse(&reports.fingerprint) as _,
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
        &messages.first_index,
        &messages.reports,
        &reports.rank as _,
        &reports.effect as _,
        &reports.arrived_at,
        &reports.credential_id,
        &reports.status as _,
        &reports.recipient as _,
        &reports.sender as _,
        sparse(&reports.error_code) as _,
        sparse(&reports.error_text) as _,
        sparse(&reports.idempotency_token) as _,
        sparse(&reports.happened_at) as _,
        &reports.fields as _,
        first_index,
        INDEX_BITS,
        i32::from(MAX_FINGERPRINTS),
    )
    .fetch_all(connection)
    .await
}
