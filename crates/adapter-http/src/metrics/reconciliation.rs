//! Counters of reconciliation.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What reconciliation did in this process.
#[derive(Default)]
pub(super) struct ReconciliationCounters {
    messages: Counter,
    recovered: Counter,
    failures: Counter,
}

impl ReconciliationCounters {
    pub(super) fn add(&self, messages: u64, recovered: u64) {
        self.messages.inc_by(messages);
        self.recovered.inc_by(recovered);
    }

    pub(super) fn add_failure(&self) {
        self.failures.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Messages compared with the integrator's records";
        registry.register("receiptd_reconciled_messages", help, self.messages.clone());
        let help = "Reports that had not arrived and were read from the integrator's records";
        registry.register("receiptd_recovered_reports", help, self.recovered.clone());
        let help = "Runs of reconciliation that failed";
        registry.register(
            "receiptd_reconciliation_failures",
            help,
            self.failures.clone(),
        );
    }
}
