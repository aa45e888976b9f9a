//! How many files the process may have open, and how many connections that allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open besides connections of callers and of the database: listeners, files of the
/// journal, targets of events, the operator's own connections.
const SPARE: u64 = 64;

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

/// How many of the wanted connections a limit leaves room for, besides those of the database.
pub fn connections(wanted: u32, database: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    let left = limit.saturating_sub(SPARE + u64::from(database));
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
        assert_eq!(connections(8192, 10, Some(1024)), 950);
        assert_eq!(connections(100, 10, Some(1024)), 100);
        assert_eq!(connections(8192, 10, Some(32)), 16);
    }
}
