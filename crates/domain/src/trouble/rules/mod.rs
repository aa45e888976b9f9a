//! The rules: what counts as trouble.

mod callbacks;
mod certificate;
mod challenges;
mod code;
mod credential;
mod forwarding;
mod journal;
mod reconciliation;
mod silence;
mod stuck;
mod subscription;

pub use callbacks::{CALLBACK_WINDOW_MICROS, callbacks_failing};
pub use certificate::certificate_expiring;
pub use challenges::{CHALLENGE_WINDOW_MICROS, Challenges, challenged_only};
pub use code::{CodeShare, error_code};
pub use credential::credential_expiring;
pub use forwarding::forwarding_failing;
pub use journal::{JOURNAL_SHOWN_MICROS, JournalUse, journal_in_use};
pub use reconciliation::reconciliation_failing;
pub use silence::{Silence, silence};
pub use stuck::{STUCK_AFTER_SECONDS, SentMessages, sent_messages, stuck_at_sent};
pub use subscription::{SubscriptionLag, lagging, stopped};

/// How many messages or reports a share or an average needs, to say anything.
const MIN_COUNT: i64 = 20;

/// Returns a share in percent, in words: `12 %`, `0.4 %`.
fn percent(part: i64, whole: i64) -> String {
    let percent = 100.0 * share(part, whole);
    if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// Returns a part of a whole; 0 if there is no whole.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Returns a duration in words: `20 s`, `14 min`, `3 h`, `2 days`.
fn duration(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 10.0 => return format!("{s:.1} s"),
        s if s < 120.0 => (s, "s"),
        s if s < 7_200.0 => (s / 60.0, "min"),
        s if s < 172_800.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{number:.0} {unit}")
}

#[cfg(test)]
mod tests;
