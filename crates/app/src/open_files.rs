//! How many files the process may have open, and how many connections that allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides connections of callers, of the database and to targets of events:
/// listeners, files of the journal, look-ups of names, the operator's own connections.
const SPARE: u64 = 128;

/// Attempts to push events have one in so many of the files that may be open.
const ATTEMPTS_SHARE: u64 = 8;

/// How many files may be open at most; `None` if there is no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Lets the process have as many files open as it may, and says how many that are: the limit
/// that it begins with suits programs that open few.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return maximum;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            current
        }
    }
}

/// How many of the wanted attempts to push events may be under way at a time, so that a limit
/// leaves room for reports.
pub fn attempts(wanted: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    wanted.min(
        u32::try_from(limit / ATTEMPTS_SHARE)
            .unwrap_or(u32::MAX)
            .max(2),
    )
}

/// How many connections are kept to targets of events beside those of attempts.
pub const fn kept_connections(attempts: u32) -> u32 {
    attempts / 2
}

/// How many files so many attempts have open.
pub fn of_attempts(attempts: u32) -> u64 {
    u64::from(attempts) + u64::from(kept_connections(attempts))
}

/// How many of the wanted connections a limit leaves room for, besides `others`.
pub fn connections(wanted: u32, others: u64, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    let left = limit.saturating_sub(SPARE + others);
    // With fewer than a handful there is no service; what cannot be opened says so then.
    wanted.min(u32::try_from(left).unwrap_or(u32::MAX).max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_what_else_is_open() {
        assert_eq!(connections(8192, 10, None), 8192);
        assert_eq!(connections(8192, 10, Some(1 << 20)), 8192);
        assert_eq!(connections(8192, 10, Some(1024)), 886);
        assert_eq!(connections(100, 10, Some(1024)), 100);
        assert_eq!(connections(8192, 10, Some(32)), 16);
    }

    #[test]
    fn attempts_leave_most_files_to_reports() {
        assert_eq!(attempts(512, None), 512);
        assert_eq!(attempts(512, Some(1 << 20)), 512);
        assert_eq!(attempts(512, Some(1024)), 128);
        assert_eq!(attempts(512, Some(8)), 2);
        assert_eq!(of_attempts(128), 192);
    }
}
