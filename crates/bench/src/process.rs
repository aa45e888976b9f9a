//! Processor time and memory of processes, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit of processor time in `/proc`, the same on all architectures but one.
const TICK: Duration = Duration::from_millis(10);

/// What a process and all its descendants have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time, including ended children.
    pub cpu: Duration,
    /// Resident memory in bytes. Shared pages count in every process.
    pub memory: u64,
}

/// One line of `/proc/<pid>/stat`.
struct Stat {
    pid: u32,
    parent: u32,
    name: String,
    ticks: u32,
    ticks_of_ended_children: u32,
}

impl Usage {
    pub fn of_tree(root: u32) -> Result<Self> {
        let processes = all();
        let mut tree = vec![root];
        let mut usage = Self::default();
        while let Some(pid) = tree.pop() {
            tree.extend(
                processes
                    .iter()
                    .filter(|each| each.parent == pid)
                    .map(|each| each.pid),
            );
            // Children may have ended meanwhile; the root must be there.
            match stat(pid) {
                Some(stat) => usage.cpu += TICK * (stat.ticks + stat.ticks_of_ended_children),
                None if pid == root => anyhow::bail!("process {root} is gone"),
                None => {}
            }
            usage.memory += memory(pid).unwrap_or_default();
        }
        Ok(usage)
    }
}

/// Returns the parent of a process, if both have this name.
pub fn parent_of_same_name(pid: u32, name: &str) -> Option<u32> {
    let child = stat(pid)?;
    let parent = stat(child.parent)?;
    (child.name == name && parent.name == name).then_some(parent.pid)
}

/// Returns what this process has used so far, without its children.
pub fn own() -> Result<Usage> {
    let pid = std::process::id();
    let stat = stat(pid).context("this process is not in /proc")?;
    Ok(Usage {
        cpu: TICK * stat.ticks,
        memory: memory(pid).unwrap_or_default(),
    })
}

fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name is in parentheses and may itself contain parentheses.
fn parse_stat(line: &str) -> Option<Stat> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Stat {
        pid: pid.parse().ok()?,
        parent: number(1)?,
        name: name.to_owned(),
        ticks: number(11)? + number(12)?,
        ticks_of_ended_children: number(13)? + number(14)?,
    })
}

fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_with_any_name_is_parsed() {
        let line = "42 (a (b) c) S 7 42 42 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.pid, stat.parent), (42, 7));
        assert_eq!(stat.name, "a (b) c");
        assert_eq!((stat.ticks, stat.ticks_of_ended_children), (30, 70));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(own().unwrap().memory > 100_000);
    }
}
