//! Installs missing Debian packages, where tests may.

use std::env;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

/// Installs packages unless `is_there` says that they are. Only root on Debian may; otherwise
/// nothing happens, and the caller explains what is missing.
#[expect(
    clippy::print_stderr,
    reason = "a minute of silence would look like a hang"
)]
pub(crate) fn install(
    packages: &[&str],
    is_there: impl Fn() -> io::Result<bool>,
) -> io::Result<()> {
    let has_apt = || Command::new("apt-get").arg("--version").output().is_ok();
    if is_there()? || !is_root() || !has_apt() {
        return Ok(());
    }
    // One at a time: tests run in many processes.
    let lock = File::create(env::temp_dir().join("receiptd-install-packages.lock"))?;
    lock.lock()?;
    if is_there()? {
        return Ok(());
    }
    eprintln!("installing Debian's packages: {}", packages.join(", "));
    apt_get(&["update"])?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[&install, packages].concat())
}

/// Returns whether this process runs as root. Outside Linux it is taken not to.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn apt_get(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("apt-get failed: {printed}")))
}
