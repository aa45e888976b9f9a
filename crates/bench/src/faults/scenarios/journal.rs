//! The journal is full, damaged, at its limits, or contains a report that the database refuses.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use traffic::integrator::Integrator;

use super::DEADLINE;
use super::disk::Refusals;
use crate::faults::load::RecordedLoad;
use crate::faults::report::Report;
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::wait::until;

/// The journal has reached its maximum size.
pub fn full(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::prepare_with(options, &[("RECEIPTD_JOURNAL_MIB", "1")], false)?;
    trial.receiver.start()?;
    let load = trial.load().start();
    pause(1.0);
    trial.begin(DatabaseFault::Down)?;
    load.until_refused();
    let mut refusals = Refusals::default();
    refusals.see_refused(&trial.receiver);
    pause(8.0);
    trial.end(DatabaseFault::Down)?;
    let ledger = refusals.until_accepted(load, &trial.receiver)?;
    let mut verdict = trial.settle(&ledger)?;
    refusals.judge(&mut verdict, &ledger);
    Ok(verdict)
}

/// As many reports as 64 connections can send go to the journal, and from there, without other
/// traffic, into the database.
pub fn speed(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    trial.begin(DatabaseFault::Down)?;
    let load = trial.saturating_load(64).start();
    // Until the receiver has noticed that the database is unavailable.
    pause(6.0);
    let began = load.elapsed();
    pause(5.0);
    let window = began..load.elapsed();
    let ledger = load.stop()?;
    let appended = ledger.rate(&window);
    trial.end(DatabaseFault::Down)?;
    let journaled = trial.receiver.journaled()?;
    let began = Instant::now();
    trial.receiver.wait_until_drained()?;
    let drained = journaled / began.elapsed().as_secs_f64().max(0.001);
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!(
        "{appended:.0} a second into the journal, {drained:.0} a second out of it"
    ));
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// The number of the poison report, which the load does not repeat.
const POISON: u64 = 500;

/// The database is made to refuse this: nothing that the receiver accepts is refused otherwise.
const WORD: &str = "arsenic";

fn start_with_poison(options: &TrialOptions) -> Result<(Trial, RecordedLoad)> {
    let mut trial = Trial::prepare(options)?;
    trial.store.refuse(WORD)?;
    trial.receiver.start()?;
    let load = RecordedLoad {
        reports: 1_000,
        special: Some((POISON, format!("&Note={WORD}"))),
        ..trial.saturating_load(64)
    };
    Ok((trial, load))
}

/// One report among 1,000 is refused by the database: it is stored as a rejection, the others are
/// recorded.
pub fn poison(options: &TrialOptions) -> Result<Verdict> {
    let (mut trial, load) = start_with_poison(options)?;
    let ledger = load.run()?;
    let mut verdict = trial.settle(&ledger)?;
    let [accepted, refused] = [204, 422].map(|status| ledger.answered(status).count());
    verdict.note("999 × 204, 1 × 422, 1 rejection");
    verdict.expect(
        (accepted, refused) == (999, 1),
        format!("{accepted} × 204 and {refused} × 422"),
    );
    expect_one_rejection(&mut verdict, &trial)?;
    Ok(verdict)
}

/// The same report was acknowledged while the database was unavailable: it becomes a rejection when
/// the journal is drained, and does not block the others.
pub fn poison_in_journal(options: &TrialOptions) -> Result<Verdict> {
    let (mut trial, load) = start_with_poison(options)?;
    trial.begin(DatabaseFault::Down)?;
    let ledger = load.run()?;
    trial.end(DatabaseFault::Down)?;
    trial.receiver.wait_until_drained()?;
    trial.receiver.stop()?;
    let gone = [Report::nth(Integrator::Twilio, 1, POISON)].into();
    let mut verdict = Verdict::compare_except(&ledger, &trial.store.stored()?, &gone);
    verdict.note("1 rejection");
    verdict.expect_all_accepted_within(DEADLINE);
    verdict.expect(
        verdict.found + 1 == verdict.acknowledged,
        "not exactly the poison is missing",
    );
    let log = trial.installation.log();
    verdict.expect(
        log.contains("refuses an acknowledged report"),
        "the log does not mention it",
    );
    expect_one_rejection(&mut verdict, &trial)?;
    Ok(verdict)
}

fn expect_one_rejection(verdict: &mut Verdict, trial: &Trial) -> Result<()> {
    let rejections = trial.store.stored()?.rejections;
    verdict.expect(rejections == 1, format!("{rejections} rejections"));
    Ok(())
}

/// While the receiver is down, bytes of its journal are overwritten, removed from the middle and
/// cut off at the end. The reports in them are gone; all others are found.
pub fn damaged(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = trial.saturating_load(32).start();
    trial.begin(DatabaseFault::Down)?;
    // More than one segment, if time permits.
    let enough = options.choose(18_000_000, 1_000_000);
    let limit = Duration::from_mins(1);
    until(limit, Duration::from_millis(100), || {
        trial.installation.journal_bytes() > enough
    });
    let ledger = load.stop()?;
    trial.receiver.kill()?;
    let bytes = trial.installation.journal_bytes();
    ensure!(bytes > 100_000, "only {bytes} bytes came into the journal");
    let mut damage = Damage::default();
    for file in trial.installation.journal() {
        damage.inflict(&file)?;
    }
    trial.receiver.launch()?;
    trial.end(DatabaseFault::Down)?;
    trial.receiver.wait_until_drained()?;
    let (_, health) = trial.receiver.health()?;
    trial.receiver.stop()?;
    let stored = trial.store.stored()?;
    let gone: HashSet<_> = damage.damaged.difference(&damage.intact).cloned().collect();
    let mut verdict = Verdict::compare_except(&ledger, &stored, &gone);
    let missing = verdict.acknowledged - verdict.found;
    verdict.note(format!("{missing} were cut out of {} files", damage.files));
    verdict.expect(
        gone.iter()
            .all(|report| !stored.reports.contains_key(report)),
        "damaged reports were found",
    );
    let log = trial.installation.log();
    verdict.expect(
        log.contains("journal segment damaged"),
        "the log does not mention the damage",
    );
    verdict.expect(
        health.to_string().contains("damaged places were found"),
        "/readyz does not mention the damage",
    );
    Ok(verdict)
}

/// The reports of journal files, by what happened to them.
#[derive(Default)]
struct Damage {
    files: usize,
    damaged: HashSet<Report>,
    intact: HashSet<Report>,
}

impl Damage {
    fn inflict(&mut self, file: &Path) -> Result<()> {
        let mut bytes = fs::read(file)?;
        let (third, end) = (bytes.len() / 3, bytes.len());
        // Not aligned to records.
        let overwritten = third..third + 5_000;
        let removed = 2 * third..2 * third + 7_777;
        let cut_off = end - 333..end;
        let ranges = [overwritten.clone(), removed.clone(), cut_off.clone()];
        for (place, report) in records(&bytes)? {
            let overlaps = |it: &Range<usize>| it.start < place.end && place.start < it.end;
            if ranges.iter().any(overlaps) {
                self.damaged.insert(report);
            } else {
                self.intact.insert(report);
            }
        }
        bytes.truncate(cut_off.start);
        bytes.drain(removed);
        if let Some(bytes) = bytes.get_mut(overwritten) {
            bytes.fill(0x5a);
        }
        fs::write(file, bytes)?;
        self.files += 1;
        Ok(())
    }
}

/// The records of a journal file and where they are. Each is a mark of four bytes, a length, a
/// checksum, and so many bytes of JSON.
fn records(bytes: &[u8]) -> Result<Vec<(Range<usize>, Report)>> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 12) {
        let (mark, rest) = head.split_at(4);
        ensure!(mark == [0xff, b'R', b'C', 0xfe], "no record at {at}");
        let (length, _) = rest.split_first_chunk::<4>().context("no length")?;
        let end = at + 12 + usize::try_from(u32::from_le_bytes(*length))?;
        // An incomplete append is not a record.
        let Some(payload) = bytes.get(at + 12..end) else {
            break;
        };
        let entry: Value = serde_json::from_slice(payload)?;
        let text = |entry: &Value, name: &str| {
            let value = entry.get(name).and_then(Value::as_str);
            value.map(str::to_owned)
        };
        let report = Report {
            sid: text(&entry, "sid").context("an entry without sid")?,
            status: text(&entry, "status").context("an entry without status")?,
            code: entry.get("error").and_then(|error| text(error, "code")),
        };
        records.push((at..end, report));
        at = end;
    }
    Ok(records)
}
