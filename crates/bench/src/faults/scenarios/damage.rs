//! The journal is damaged while its receiver is down.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::pause;
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::report::Report;
use crate::store::Store;

/// Bytes are overwritten, cut out of the middle, and cut off at the end. What
/// was in them is gone; everything else is found.
pub fn damage(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::flood(home.public(), 32).start();
    store.postgres()?.stop()?;
    // More than one segment, if there is time for it.
    let enough = if stage.quick { 1_000_000 } else { 18_000_000 };
    for _ in 0..600 {
        if home.journal_bytes() > enough {
            break;
        }
        pause(0.1);
    }
    let ledger = load.stop()?;
    receiver.kill()?;
    let bytes = home.journal_bytes();
    ensure!(bytes > 100_000, "only {bytes} bytes came into the journal");

    let mut hit = Hit::default();
    for file in home.journal() {
        hit.damage(&file)?;
    }
    let receiver = home.launch()?;
    store.postgres()?.start_again()?;
    receiver.wait_until_drained()?;
    let (_, health) = receiver.health()?;
    receiver.stop()?;

    let kept = store.kept()?;
    let gone: HashSet<_> = hit.damaged.difference(&hit.whole).cloned().collect();
    let mut finding = Finding::compare_without(&ledger, &kept, &gone);
    let missing = finding.acknowledged - finding.found;
    finding.note(format!("{missing} were cut out of {} files", hit.files));
    finding.expect(
        gone.iter().all(|report| !kept.reports.contains_key(report)),
        "damaged reports were found all the same",
    );
    finding.expect(
        home.log().contains("journal segment damaged"),
        "the log does not tell of the damage",
    );
    finding.expect(
        health.to_string().contains("damaged places were found"),
        "/readyz does not tell of the damage",
    );
    Ok(finding)
}

/// What was hit, and what was not.
#[derive(Default)]
struct Hit {
    files: usize,
    damaged: HashSet<Report>,
    whole: HashSet<Report>,
}

impl Hit {
    fn damage(&mut self, file: &Path) -> Result<()> {
        let bytes = fs::read(file)?;
        let records = records(&bytes)?;
        // Where records begin and end does not matter to damage.
        let (third, end) = (bytes.len() / 3, bytes.len());
        let overwritten = third..third + 5_000;
        let cut_out = 2 * third..2 * third + 7_777;
        let cut_off = end - 333..end;
        let ranges = [overwritten.clone(), cut_out.clone(), cut_off.clone()];
        for (place, report) in records {
            if ranges.iter().any(|range| overlap(range, &place)) {
                self.damaged.insert(report);
            } else {
                self.whole.insert(report);
            }
        }
        let mut damaged = bytes;
        damaged.truncate(cut_off.start);
        damaged.drain(cut_out);
        if let Some(hole) = damaged.get_mut(overwritten) {
            hole.fill(0x5a);
        }
        fs::write(file, damaged)?;
        self.files += 1;
        Ok(())
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Where the records of a journal stand, and what they hold: a mark of four
/// bytes, a length, a checksum, and so many bytes of JSON.
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
