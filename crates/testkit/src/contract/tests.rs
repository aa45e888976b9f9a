//! Every function of a suite is in its list.

macro_rules! names {
    ($area:ident, $port:ty, $fresh:path, $($name:ident)*) => {
        vec![$(stringify!($name)),*]
    };
}

/// Returns the public functions of a source file, in order.
fn functions(source: &str) -> Vec<&str> {
    let lines = source.lines();
    lines
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
        .collect()
}

#[test]
fn every_contract_function_is_in_its_list() {
    let reports = [
        include_str!("reports/aliases.rs"),
        include_str!("reports/histories.rs"),
        include_str!("reports/races.rs"),
        include_str!("reports/values.rs"),
        include_str!("reports/listing.rs"),
    ];
    assert_eq!(
        functions(&reports.concat()),
        crate::__reports_contract!([names] reports, (), none)
    );
    let channels = [
        include_str!("channels/entries.rs"),
        include_str!("channels/credentials.rs"),
        include_str!("channels/revision.rs"),
    ];
    assert_eq!(
        functions(&channels.concat()),
        crate::__channels_contract!([names] channels, (), none)
    );
    assert_eq!(
        functions(include_str!("rejections.rs")),
        crate::__rejections_contract!([names] rejections, (), none)
    );
    let log = [
        include_str!("log/reading.rs"),
        include_str!("log/following.rs"),
    ];
    assert_eq!(
        functions(&log.concat()),
        crate::__log_contract!([names] log, (), none)
    );
    let retention = [
        include_str!("retention/log.rs"),
        include_str!("retention/messages.rs"),
        include_str!("retention/scans.rs"),
        include_str!("retention/channels.rs"),
        include_str!("retention/runs.rs"),
    ];
    assert_eq!(
        functions(&retention.concat()),
        crate::__retention_contract!([names] retention, (), none)
    );
    let erasures = [
        include_str!("erasures/matching.rs"),
        include_str!("erasures/resuming.rs"),
    ];
    assert_eq!(
        functions(&erasures.concat()),
        crate::__erasures_contract!([names] erasures, (), none)
    );
    let access = [
        include_str!("access/tokens.rs"),
        include_str!("access/sessions.rs"),
        include_str!("access/audit.rs"),
    ];
    assert_eq!(
        functions(&access.concat()),
        crate::__access_contract!([names] access, (), none)
    );
    assert_eq!(
        functions(include_str!("cursors.rs")),
        crate::__cursors_contract!([names] cursors, (), none)
    );
    let subscriptions = [
        include_str!("subscriptions/entries.rs"),
        include_str!("subscriptions/listing.rs"),
        include_str!("subscriptions/history.rs"),
        include_str!("subscriptions/positions.rs"),
        include_str!("subscriptions/leases.rs"),
        include_str!("subscriptions/sharing.rs"),
        include_str!("subscriptions/losses.rs"),
        include_str!("subscriptions/recording.rs"),
        include_str!("subscriptions/retention.rs"),
        include_str!("subscriptions/attempts.rs"),
    ];
    assert_eq!(
        functions(&subscriptions.concat()),
        crate::__subscriptions_contract!([names] subscriptions, (), none)
    );
    let statistics = [
        include_str!("statistics/changes.rs"),
        include_str!("statistics/problems.rs"),
        include_str!("statistics/recipients.rs"),
        include_str!("statistics/days.rs"),
        include_str!("statistics/counts.rs"),
    ];
    assert_eq!(
        functions(&statistics.concat()),
        crate::__statistics_contract!([names] statistics, (), none)
    );
}

#[test]
fn every_contract_function_of_other_stores_is_in_its_list() {
    let troubles = [
        include_str!("troubles/entries.rs"),
        include_str!("troubles/evaluation.rs"),
        include_str!("troubles/events.rs"),
    ];
    assert_eq!(
        functions(&troubles.concat()),
        crate::__troubles_contract!([names] troubles, (), none)
    );
    let reconciliations = [
        include_str!("reconciliations/accounts.rs"),
        include_str!("reconciliations/callback_alerts.rs"),
    ];
    assert_eq!(
        functions(&reconciliations.concat()),
        crate::__reconciliations_contract!([names] reconciliations, (), none)
    );
    let forwarding = [
        include_str!("forwarding/storing.rs"),
        include_str!("forwarding/claiming.rs"),
        include_str!("forwarding/recording.rs"),
        include_str!("forwarding/removing.rs"),
    ];
    assert_eq!(
        functions(&forwarding.concat()),
        crate::__forwarding_contract!([names] forwarding, (), none)
    );
    let journal = [
        include_str!("journal/mod.rs"),
        include_str!("journal/room.rs"),
    ];
    assert_eq!(
        functions(&journal.concat()),
        crate::__journal_contract!([names] journal, (), none)
    );
}
