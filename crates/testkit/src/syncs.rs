//! Counts the disk syncs of a program.
//!
//! Written data survives a killed process in any case, so no other test detects a missing sync.

use std::fs;
use std::process::{Command, Stdio};

/// The number of steps for the child process.
const STEPS: &str = "RECEIPTD_TEST_STEPS";

/// Asserts that each step of `take` causes one sync. `test` is the name of the calling test: it is
/// started twice more, with few and with many steps, so that the syncs before and after them are
/// not counted.
///
/// # Panics
///
/// If `strace` is not installed, if `take` panics, or if a step causes another number of syncs.
pub fn are_one_a_step<F: Future<Output = ()>>(test: &str, take: impl FnOnce(u64) -> F) {
    const FEW: u64 = 10;
    const MANY: u64 = 60;
    if let Some(steps) = requested() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        return runtime.block_on(take(steps));
    }
    let syncs = of_steps(test, MANY) - of_steps(test, FEW);
    assert_eq!(syncs, MANY - FEW, "syncs of {} steps", MANY - FEW);
}

/// Returns how many steps this process has to take, if it was started for them.
#[expect(
    clippy::disallowed_methods,
    reason = "a child process gets its parameters in no other way"
)]
fn requested() -> Option<u64> {
    let steps = std::env::var(STEPS).ok()?;
    Some(steps.parse().expect("a number of steps"))
}

fn of_steps(test: &str, steps: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let trace = folder.path().join("trace");
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(STEPS, steps.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("strace runs: install it, for instance with `apt-get install strace`");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let trace = fs::read_to_string(&trace).expect("strace has written it");
    // One that was interrupted by another thread's has a second line, without the bracket.
    let called = |line: &&str| line.contains("fsync(") || line.contains("fdatasync(");
    let count = trace.lines().filter(called).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}
