//! Evaluates the rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::trouble::rules::{
    Challenges, JOURNAL_SHOWN_MICROS, challenged_only, credential_expiring, journal_in_use,
};
use domain::trouble::{
    OperatorEventId, Snooze, Trouble, TroubleId, TroubleKey, TroubleKind, TroubleSubject,
};
use domain::{ChannelId, Credential, Timestamp};
use ports::troubles::TroubleChanges;
use ports::{
    Calendar, ChannelStore, ChannelWithCredentials, Environment, EventLog, ForwardedRequestStore,
    ReconciliationStore, Statistics, StoreError, SubscriptionStore, TroubleStore,
};
use tokio::sync::Mutex;

use super::all_settings::AllSettings;
use super::certificates::{CertificateSource, Certificates};
use super::challenges::ChallengeSamples;
use super::counted::{CountedEvidence, are_current};
use super::event_body::event;
use super::findings::{Findings, window};
use super::usual::Source;
use super::{forwarding, reconciliation, subscriptions};

/// How many intervals the lease lasts: another process takes over after that.
const LEASE_INTERVALS: u32 = 3;

/// The longest lease time that stores measure.
const MAX_LEASE: Duration = Duration::from_mins(10);

/// Returns how long the lease of a process lasts that evaluates once in an interval.
#[must_use]
pub fn lease_time(interval: Duration) -> Duration {
    (interval * LEASE_INTERVALS).min(MAX_LEASE)
}

/// What the evaluation needs.
pub struct EvaluationDependencies {
    /// Stores troubles.
    pub troubles: Arc<dyn TroubleStore>,
    /// The channels and how they are called.
    pub channels: Arc<dyn ChannelStore>,
    /// Counts of messages and reports.
    pub statistics: Arc<dyn Statistics>,
    /// The report log.
    pub log: Arc<dyn EventLog>,
    /// The subscriptions.
    pub subscriptions: Arc<dyn SubscriptionStore>,
    /// Alerts of failed callbacks, and figures of reconciliation.
    pub reconciliation: Arc<dyn ReconciliationStore>,
    /// Requests that wait to be forwarded.
    pub forwarding: Arc<dyn ForwardedRequestStore>,
    /// Calls the public URLs.
    pub certificates: CertificateSource,
    /// The days of the installation's time zone.
    pub calendar: Arc<dyn Calendar>,
    /// Time and ids.
    pub environment: Arc<dyn Environment>,
    /// The name of this process.
    pub holder: String,
    /// The time between two evaluations.
    pub interval: Duration,
}

/// Evaluates the rules, in one process at a time.
pub struct EvaluateTroubles {
    dependencies: EvaluationDependencies,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    certificates: Certificates,
    challenges: ChallengeSamples,
    counted: CountedEvidence,
}

/// What an evaluation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// Another process evaluates.
    LeftToAnother,
    /// The rules were evaluated.
    Done {
        /// The troubles that opened or were resolved.
        moved: Vec<Trouble>,
    },
}

impl EvaluateTroubles {
    /// Creates the use case.
    #[must_use]
    pub fn new(dependencies: EvaluationDependencies) -> Self {
        Self {
            dependencies,
            state: Mutex::default(),
        }
    }

    /// Evaluates the rules once, if this process has the lease.
    pub async fn run(&self) -> Result<Evaluated, StoreError> {
        let needs = &self.dependencies;
        let duration = lease_time(needs.interval);
        let lease = needs.troubles.lease_evaluation(&needs.holder, duration);
        let lease = lease.await?;
        let Some(lease) = lease else {
            // What it remembers is old when it takes over.
            *self.state.lock().await = State::default();
            return Ok(Evaluated::LeftToAnother);
        };
        let now = needs.environment.now();
        let settings = AllSettings::new(needs.troubles.trouble_settings().await?);
        let findings = self.findings(&settings, now).await?;
        let (changes, moved) = self.changes(findings, &settings, now).await?;
        if !changes.is_empty() && !needs.troubles.save_troubles(&lease, &changes).await? {
            return Ok(Evaluated::LeftToAnother);
        }
        Ok(Evaluated::Done { moved })
    }

    /// Gathers evidence and judges it.
    async fn findings(
        &self,
        settings: &AllSettings,
        now: Timestamp,
    ) -> Result<Findings, StoreError> {
        let needs = &self.dependencies;
        let mut state = self.state.lock().await;
        let mut findings = Findings::default();
        let journals = now.plus_micros(-JOURNAL_SHOWN_MICROS);
        let journals = needs.troubles.journals(journals).await?;
        let in_journal = journal_in_use(&journals, now);
        let channels = needs.channels.all().await?;
        let enabled: Vec<_> = channels.iter().filter(|it| it.channel.enabled).collect();
        let source = Source {
            store: &*needs.statistics,
            calendar: &*needs.calendar,
        };
        let is_current = are_current(source, &*needs.log, now).await?;
        if is_current {
            state.counted.read(source, now).await?;
            state.counted.judge_shares(settings, &mut findings);
        } else {
            findings.not_judged(TroubleKind::ErrorCode);
            findings.not_judged(TroubleKind::StuckAtSent);
        }
        if is_current && in_journal.is_none() {
            for found in &enabled {
                let key = of_channel(TroubleKind::Silence, &found.channel.id);
                let counted = &mut state.counted;
                let silence = counted.judge_silence(source, found, settings, now).await?;
                add(&mut findings, settings, key, silence);
            }
        } else {
            // Reports that wait in a journal are not counted yet.
            findings.not_judged(TroubleKind::Silence);
        }
        self.judge_challenges(&mut state, &enabled, settings, now, &mut findings)
            .await?;
        judge_credentials(&enabled, settings, now, &mut findings);
        reconciliation::judge(&*needs.reconciliation, &enabled, now, &mut findings).await?;
        forwarding::judge(&*needs.forwarding, &enabled, now, &mut findings).await?;
        let certificates = &mut state.certificates;
        certificates
            .judge(&needs.certificates, &enabled, now, &mut findings)
            .await;
        subscriptions::judge(&*needs.subscriptions, &*needs.log, now, &mut findings).await?;
        let key = TroubleKey {
            kind: TroubleKind::JournalInUse,
            subject: TroubleSubject::Service,
        };
        findings.add(key, in_journal);
        Ok(findings)
    }

    async fn judge_challenges(
        &self,
        state: &mut State,
        channels: &[&ChannelWithCredentials],
        settings: &AllSettings,
        now: Timestamp,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let mut counters = BTreeMap::new();
        for found in channels {
            let id = &found.channel.id;
            let calls = self.dependencies.channels.calls(id).await?;
            counters.insert(id.clone(), calls.challenged);
        }
        state.challenges.add(now, counters);
        if !state.challenges.is_complete() {
            findings.not_judged(TroubleKind::ChallengedOnly);
        }
        for found in channels {
            let id = &found.channel.id;
            let used = credentials(found).filter_map(|it| it.last_used_at);
            let requests = Challenges {
                challenged: state.challenges.count(id),
                last_authenticated_at: used.max(),
            };
            let thresholds = settings.of(Some(id)).thresholds;
            let finding = challenged_only(&requests, thresholds, now);
            if finding.is_some() || state.challenges.is_complete() || requests.is_authenticated(now)
            {
                let key = of_channel(TroubleKind::ChallengedOnly, id);
                add(findings, settings, key, finding);
            }
        }
        Ok(())
    }

    /// Returns what the findings change, and the troubles that open or are resolved.
    async fn changes(
        &self,
        mut findings: Findings,
        settings: &AllSettings,
        now: Timestamp,
    ) -> Result<(TroubleChanges, Vec<Trouble>), StoreError> {
        let needs = &self.dependencies;
        let interval = i64::try_from(needs.interval.as_micros()).unwrap_or(i64::MAX);
        let mut changes = TroubleChanges::default();
        let mut moved = Vec::new();
        for before in needs.troubles.unresolved().await? {
            let kind = before.key.kind;
            let is_on = settings.of(before.key.subject.channel()).is_on(kind);
            let judged = findings.take(&before.key);
            // A rule that was switched off finds nothing, whether or not there is evidence.
            let Some(finding) = judged.or((!is_on).then_some(None)) else {
                continue;
            };
            let finding = finding.filter(|_| is_on);
            let id = before.id;
            let window = window(kind, now, interval);
            let Some(mut after) = before.clone().judge(window, finding, now) else {
                changes.dropped.push(id);
                continue;
            };
            let is_quiet = settings.is_quiet(&after.key.subject, &*needs.calendar, now);
            if let Some(notice) = after.due_notice(now, is_quiet) {
                after.noticed(notice, now);
                let event_id = OperatorEventId(needs.environment.uuid());
                changes.events.push(event(event_id, &after, notice, now));
            }
            if before.state.is_open() != after.state.is_open() {
                moved.push(after.clone());
            }
            if after != before {
                changes.saved.push(after);
            }
        }
        let new: Vec<_> = findings
            .rest()
            .filter(|(key, _)| settings.of(key.subject.channel()).is_on(key.kind))
            .collect();
        if !new.is_empty() {
            let snoozes: BTreeMap<TroubleKey, Snooze> = needs
                .troubles
                .lasting_snoozes(now)
                .await?
                .into_iter()
                .collect();
            changes.saved.extend(new.into_iter().map(|(key, finding)| {
                let id = TroubleId(needs.environment.uuid());
                let snooze = snoozes.get(&key).cloned();
                let window = window(key.kind, now, interval);
                Trouble::begin(id, key, finding, window, snooze)
            }));
        }
        Ok((changes, moved))
    }
}

fn of_channel(kind: TroubleKind, channel: &ChannelId) -> TroubleKey {
    TroubleKey {
        kind,
        subject: TroubleSubject::Channel(channel.clone()),
    }
}

fn add(
    findings: &mut Findings,
    settings: &AllSettings,
    key: TroubleKey,
    finding: Option<domain::trouble::Finding>,
) {
    let is_on = settings.of(key.subject.channel()).is_on(key.kind);
    findings.add(key, finding.filter(|_| is_on));
}

/// Returns the credentials of a channel without those of tests, which cause no trouble and end
/// none.
fn credentials(found: &ChannelWithCredentials) -> impl Iterator<Item = &Credential> {
    found.credentials.iter().filter(|it| !it.is_test)
}

fn judge_credentials(
    channels: &[&ChannelWithCredentials],
    settings: &AllSettings,
    now: Timestamp,
    findings: &mut Findings,
) {
    for found in channels {
        for credential in credentials(found) {
            let key = TroubleKey {
                kind: TroubleKind::CredentialExpiring,
                subject: TroubleSubject::Credential(found.channel.id.clone(), credential.id),
            };
            let finding = credential_expiring(credential, &found.credentials, now);
            add(findings, settings, key, finding);
        }
    }
}
