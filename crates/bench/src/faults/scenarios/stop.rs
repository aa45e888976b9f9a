//! The receiver is stopped with SIGTERM under load.

use std::time::Duration;

use anyhow::Result;

use super::clients::SlowClients;
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;

const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What is wrong when the receiver is stopped.
pub struct Stop {
    pub fault: Option<DatabaseFault>,
    /// Seconds before the fault.
    pub before: f32,
    /// Seconds from the fault to the signal.
    pub lasting: f32,
    /// Clients that never finish their requests.
    pub slow_clients: usize,
}

impl Stop {
    pub const fn during(fault: DatabaseFault, lasting: f32) -> Self {
        Self {
            fault: Some(fault),
            before: 1.0,
            lasting,
            slow_clients: 0,
        }
    }

    pub fn run(&self, options: &TrialOptions) -> Result<Verdict> {
        let proxy = self.fault.is_some_and(DatabaseFault::needs_proxy);
        let mut trial = Trial::prepare_with(options, &[], proxy)?.started()?;
        let load = trial.load().start();
        pause(self.before);
        if let Some(fault) = self.fault {
            trial.begin(fault)?;
        }
        let slow = SlowClients::start(trial.installation.public, self.slow_clients);
        pause(self.lasting);
        let (took, status) = trial.receiver.terminate()?;
        // The load continues until the receiver has stopped.
        let ledger = load.stop()?;
        let slow = slow.finish()?;
        if let Some(fault) = self.fault {
            trial.end(fault)?;
        }
        trial.receiver.start()?;
        let mut verdict = trial.settle(&ledger)?;
        verdict.note(format!("stopped in {took:.1?}"));
        let stored = verdict.stored_unanswered;
        verdict.expect(stored == 0, format!("{stored} were stored, not answered"));
        // Reports that were sent while it was stopping are answered as well.
        let unanswered = verdict.unanswered;
        verdict.expect(unanswered == 0, format!("{unanswered} were not answered"));
        verdict.expect_in_time(took < STOP_LIMIT, "that is too long");
        verdict.expect(status.success(), "it did not end with status 0");
        verdict.expect_none_refused();
        verdict.expect(
            slow.closed == self.slow_clients,
            "slow clients were not closed",
        );
        Ok(verdict)
    }
}
