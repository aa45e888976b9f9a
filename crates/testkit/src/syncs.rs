//! How often a program asks the disk to keep something.
//!
//! What was written survives a killed process in any case, so no other test sees whether it
//! would survive a crash of the machine.

use std::fs;
use std::process::{Command, Stdio};

/// Tells a child how much it has to do.
const STEPS: &str = "RECEIPTD_TEST_STEPS";

/// How many syncs one step takes of a test of the calling program, which is marked
/// `#[ignore]` and does [`steps`] steps. What it does before and after them is left out.
///
/// # Panics
///
/// If `strace` is not installed, if the test fails, or if not every step takes as many.
#[must_use]
pub fn of_one_step(test: &str) -> u64 {
    const FEW: u64 = 10;
    const MANY: u64 = 60;
    let syncs = of_steps(test, MANY) - of_steps(test, FEW);
    assert_eq!(
        syncs % (MANY - FEW),
        0,
        "{syncs} syncs of {} steps",
        MANY - FEW
    );
    syncs / (MANY - FEW)
}

/// How many steps a test has to do that [`of_one_step`] has started.
///
/// # Panics
///
/// If it was started otherwise.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a child has no other way to be told"
)]
pub fn steps() -> u64 {
    let steps = std::env::var(STEPS).ok().and_then(|it| it.parse().ok());
    steps.expect("this test is started by another one, which counts its syncs")
}

fn of_steps(test: &str, steps: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let trace = folder.path().join("trace");
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
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
