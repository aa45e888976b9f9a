//! The limit of open files, and how many connections it allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open besides connections of callers, to the database and to endpoints: listeners,
/// journal files, name resolution, connections of operators, 32 forwarded requests.
const RESERVED: u64 = 128;

/// Delivery attempts may use one in this many of the files that may be open.
const FILES_PER_ATTEMPT: u64 = 8;

/// Returns how many files may be open; `None` if there is no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the limit of open files as far as allowed and returns it: the initial limit suits
/// programs that open few files.
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
            tracing::warn!(%error, "cannot raise the limit of open files");
            current
        }
    }
}

/// Returns how many of the `wanted` concurrent attempts the limit allows, leaving files for
/// reports.
pub fn attempts(wanted: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    wanted.min(
        u32::try_from(limit / FILES_PER_ATTEMPT)
            .unwrap_or(u32::MAX)
            .max(2),
    )
}

/// Returns how many idle connections to endpoints are kept besides those of attempts.
pub const fn kept_connections(attempts: u32) -> u32 {
    attempts / 2
}

/// Returns how many files `attempts` use.
pub fn of_attempts(attempts: u32) -> u64 {
    u64::from(attempts) + u64::from(kept_connections(attempts))
}

/// Returns how many of the `wanted` connections the limit allows besides `others`.
pub fn connections(wanted: u32, others: u64, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    let left = limit.saturating_sub(RESERVED + others);
    // With fewer there is no service; opening a file fails with an error then.
    wanted.min(u32::try_from(left).unwrap_or(u32::MAX).max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(connections(8192, 10, None), 8192);
        assert_eq!(connections(8192, 10, Some(1 << 20)), 8192);
        assert_eq!(connections(8192, 10, Some(1024)), 886);
        assert_eq!(connections(100, 10, Some(1024)), 100);
        assert_eq!(connections(8192, 10, Some(32)), 16);
    }

    #[test]
    fn attempts_leave_most_files_for_reports() {
        assert_eq!(attempts(512, None), 512);
        assert_eq!(attempts(512, Some(1 << 20)), 512);
        assert_eq!(attempts(512, Some(1024)), 128);
        assert_eq!(attempts(512, Some(8)), 2);
        assert_eq!(of_attempts(128), 192);
    }
}
