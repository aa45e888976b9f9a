//! What is there at the moment, as gauges.

use std::fmt;
use std::sync::Arc;

use ports::journal::JournalUsage;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use usecases::RetentionHolds;

use super::{NoExemplar, whole};

/// How much is in the journal.
pub(super) fn encode_journal(
    encoder: &mut DescriptorEncoder<'_>,
    usage: JournalUsage,
) -> fmt::Result {
    let gauges = [
        (
            "receiptd_journal_entries",
            "Reports in the journal that wait for the store",
            usage.entries,
        ),
        (
            "receiptd_journal_bytes",
            "Bytes that the journal takes on the disk",
            usage.bytes,
        ),
        (
            "receiptd_journal_capacity_bytes",
            "Bytes that the journal may take",
            usage.capacity,
        ),
        (
            "receiptd_journal_set_aside_files",
            "Damaged files of the journal that are set aside",
            usage.set_aside,
        ),
    ];
    encode_gauges(encoder, gauges)?;
    encoder
        .encode_descriptor(
            "receiptd_journal_damaged",
            "Damaged places found in the journal; at each, one acknowledged report or more is lost",
            None,
            MetricType::Counter,
        )?
        .encode_counter(&usage.damaged, NoExemplar::None)
}

/// How much retention holds back, where it runs.
pub(super) fn encode_retention(
    encoder: &mut DescriptorEncoder<'_>,
    holds: Option<&Arc<RetentionHolds>>,
) -> fmt::Result {
    let Some(holds) = holds else { return Ok(()) };
    let gauge = (
        "receiptd_retention_held_back",
        "Kinds of data of which retention removes nothing until the clock is right or released",
        whole(holds.all().len()),
    );
    encode_gauges(encoder, [gauge])
}

/// How many connections and reports there are, and may be.
pub(super) fn encode_crowd(
    encoder: &mut DescriptorEncoder<'_>,
    (held, allowed): (usize, usize),
    (waiting, most): (usize, usize),
) -> fmt::Result {
    let gauges = [
        (
            "receiptd_connections",
            "Connections of the public listener",
            whole(held),
        ),
        (
            "receiptd_connections_allowed",
            "Connections that the public listener may hold",
            whole(allowed),
        ),
        (
            "receiptd_queue_reports",
            "Reports that wait for the store",
            whole(waiting),
        ),
        (
            "receiptd_queue_allowed_reports",
            "Reports that may wait for the store",
            whole(most),
        ),
    ];
    encode_gauges(encoder, gauges)
}

fn encode_gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    gauges: [(&str, &str, u64); N],
) -> fmt::Result {
    for (name, help, value) in gauges {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)?;
    }
    Ok(())
}
