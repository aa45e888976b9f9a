//! Waiting for conditions, and the runtimes that do it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

/// Checks a condition every `interval` until it holds. Returns whether it did within `limit`.
pub fn until(limit: Duration, interval: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() >= limit {
            return false;
        }
        thread::sleep(interval);
    }
    true
}

/// Creates a runtime on the calling thread.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
