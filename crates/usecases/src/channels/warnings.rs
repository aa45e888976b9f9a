//! Settings of a channel that seem to cost it reports.

use std::time::Duration;

use domain::Timestamp;
use ports::ChannelWithCredentials;
use ports::rejections::KeptRejection;

use crate::channels::calls::ChannelProblem;

/// How far back rejections are looked at.
const RECENT: Duration = Duration::from_hours(1);

/// Warnings about a channel, each a sentence that says what to check. `rejections` are its last
/// ones, in any order; those older than an hour and those before the channel was last changed
/// say nothing.
#[must_use]
pub(crate) fn channel_warnings(
    found: &ChannelWithCredentials,
    rejections: &[KeptRejection],
    now: Timestamp,
) -> Vec<String> {
    let recent = i64::try_from(RECENT.as_micros()).unwrap_or(i64::MAX);
    let since = now.unix_micros().saturating_sub(recent);
    let since = since.max(found.channel.updated_at.unix_micros());
    let mut warnings = Vec::new();
    if !found.credentials.iter().any(|each| each.is_live(now)) {
        warnings.push(format!(
            "every call is answered 401: {}",
            ChannelProblem::NoLiveCredential.advice()
        ));
    }
    for problem in ChannelProblem::ALL {
        let points_to_it = |kept: &&KeptRejection| {
            ChannelProblem::of(kept.rejection.reason) == Some(problem)
                && kept.rejection.arrived_at.unix_micros() >= since
        };
        let count = rejections.iter().filter(points_to_it).count();
        if count > 0 {
            warnings.push(format!(
                "reports rejected within the last hour: at least {count}; {}",
                problem.advice()
            ));
        }
    }
    warnings
}
