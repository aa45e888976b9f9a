//! Warns about settings of a channel that seem to lose reports.

use std::time::Duration;

use domain::Timestamp;
use ports::ChannelWithCredentials;
use ports::rejections::StoredRejection;

use crate::channels::calls::ChannelProblem;

/// Age up to which rejections count.
const RECENT: Duration = Duration::from_hours(1);

/// Returns warnings about a channel, each saying what to check. `rejections` are its last ones, in
/// any order; those older than an hour or than the last change of the channel are ignored.
#[must_use]
pub(crate) fn channel_warnings(
    found: &ChannelWithCredentials,
    rejections: &[StoredRejection],
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
        let is_recent = |stored: &&StoredRejection| {
            ChannelProblem::of(stored.rejection.reason) == Some(problem)
                && stored.rejection.arrived_at.unix_micros() >= since
        };
        let count = rejections.iter().filter(is_recent).count();
        if count > 0 {
            warnings.push(format!(
                "reports rejected within the last hour: at least {count}; {}",
                problem.advice()
            ));
        }
    }
    warnings
}
