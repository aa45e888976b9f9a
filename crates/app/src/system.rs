//! The real clock and the real randomness.

use domain::Timestamp;
use ports::Environment;
use uuid::Uuid;

/// The machine's clock and the system's secure generator.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Environment for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let now = time::OffsetDateTime::now_utc();
        // A machine whose clock is millennia off still receives reports.
        Timestamp::try_from(now).unwrap_or(Timestamp::EPOCH)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where secrets come from")]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no secret may be made"
    )]
    fn secret_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        bytes
    }
}

/// Returns the name of this process as a holder of leases: machine and process id.
pub fn worker_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = machine.trim();
    let machine = if machine.is_empty() {
        "worker"
    } else {
        machine
    };
    format!("{machine}/{}", std::process::id())
}

/// Returns the name of the user who runs this process, or its number if it has no name. Taken from
/// the system and not from the environment, which the user can change.
pub fn user_name() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = users.lines().map(|line| line.split(':'));
    let name = users.find_map(|mut user| {
        let name = user.next()?;
        (user.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or(id)
}

/// This program as it was called, for commands that people may copy.
pub fn program() -> String {
    std::env::args().next().unwrap_or("receiptd".to_owned())
}
