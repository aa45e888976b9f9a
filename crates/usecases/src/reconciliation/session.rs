//! One run on one channel: what it needs, and what it did so far.

use std::collections::HashMap;

use domain::reconciliation::{ReconciliationProgress, ReconciliationStep};
use domain::{ChannelId, Effect, IntegratorName, Message, MessageKey, Report, Timestamp};
use ports::StoreError;
use ports::error::error_chain;
use ports::message_records::MessageRecord;

use super::compare::{first_report, missing_report, records_of};
use super::requests::PacedRequests;
use super::run::{ReconcileDependencies, ReconcileError, Reconciled};
use crate::ingest::bisect::{Recorded, record_bisecting};

/// A run.
pub(super) struct Session<'a> {
    pub(super) dependencies: &'a ReconcileDependencies,
    pub(super) channel: &'a ChannelId,
    pub(super) integrator: IntegratorName,
    pub(super) dry_run: bool,
    /// Of what its steps are part.
    pub(super) step: ReconciliationStep,
    pub(super) requests: PacedRequests,
    pub(super) done: Reconciled,
}

impl Session<'_> {
    /// Looks up messages and records what they lack.
    pub(super) async fn compare(&mut self, messages: &[Message]) -> Result<(), ReconcileError> {
        let records = records_of(messages, &mut self.requests).await?;
        let now = self.dependencies.environment.now();
        let mut missing = Vec::new();
        for message in messages {
            self.done.checked += 1;
            match records.get(&message.key.sid) {
                Some(record) => missing.extend(missing_report(message, record, now)),
                None => self.done.unknown += 1,
            }
        }
        self.record(&missing).await
    }

    /// Compares records with what is stored, and records what is missing, also the messages that
    /// are not known if `is_accepted` is true for them.
    pub(super) async fn compare_records(
        &mut self,
        records: &[MessageRecord],
        is_accepted: impl Fn(&MessageRecord) -> bool,
    ) -> Result<(), ReconcileError> {
        let sids: Vec<_> = records.iter().map(|record| record.sid.clone()).collect();
        let accounts = &self.dependencies.accounts;
        let known = accounts.known_messages(self.channel, &sids).await?;
        let known: HashMap<_, _> = known.iter().map(|it| (&it.key.sid, it)).collect();
        let now = self.dependencies.environment.now();
        let mut missing = Vec::new();
        for record in records {
            self.done.checked += 1;
            missing.extend(match known.get(&record.sid) {
                Some(message) => missing_report(message, record, now),
                None if is_accepted(record) => {
                    let key = MessageKey {
                        channel: self.channel.clone(),
                        sid: record.sid.clone(),
                    };
                    first_report(key, record, now)
                }
                None => None,
            });
        }
        self.record(&missing).await
    }

    async fn record(&mut self, missing: &[Report]) -> Result<(), ReconcileError> {
        if self.dry_run {
            self.done.recovered += u64::try_from(missing.len()).unwrap_or(u64::MAX);
            return Ok(());
        }
        let outcomes = record_bisecting(self.dependencies.reports.as_ref(), missing).await?;
        for (report, outcome) in missing.iter().zip(outcomes) {
            match outcome {
                // It arrived meanwhile.
                Recorded::Durable(Effect::Duplicate) => {}
                Recorded::Durable(effect) => {
                    self.done.recovered += 1;
                    let metrics = &self.dependencies.metrics;
                    metrics.recorded(&self.integrator, &report.status, effect);
                }
                Recorded::Locked => self.done.left += 1,
                Recorded::Refused(error) => {
                    tracing::error!(
                        channel = %report.key.channel,
                        sid = %report.key.sid,
                        error = error_chain(&error),
                        "the store refuses a report found by reconciliation; it is not recorded"
                    );
                }
            }
        }
        Ok(())
    }

    /// Adds to the figures what was done since `before`. `checked_through` is ignored if something
    /// was left for a later run. A dry run has no figures.
    pub(super) async fn note(
        &self,
        before: Reconciled,
        checked_through: Option<Timestamp>,
        listed: Option<u64>,
    ) -> Result<(), StoreError> {
        if self.dry_run {
            return Ok(());
        }
        let progress = ReconciliationProgress {
            at: self.dependencies.environment.now(),
            step: self.step,
            checked: self.done.checked - before.checked,
            recovered: self.done.recovered - before.recovered,
            checked_through: checked_through.filter(|_| self.done.left == 0),
            listed,
            answered: self.requests.has_answer(),
            error: None,
        };
        let metrics = &self.dependencies.metrics;
        metrics.reconciled(progress.checked, progress.recovered);
        let accounts = &self.dependencies.accounts;
        // Without its account a channel has no figures.
        accounts
            .add_reconciliation_progress(self.channel, &progress)
            .await
            .map(drop)
    }
}
