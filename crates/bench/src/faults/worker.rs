//! A process that pushes events and receives nothing.

use std::process::Child;

use anyhow::Result;

/// A running worker. Dropping it kills it.
pub struct Worker {
    child: Child,
}

impl Worker {
    /// A process that has just been started.
    pub const fn of(child: Child) -> Self {
        Self { child }
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
