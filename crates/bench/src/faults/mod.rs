//! `faults` breaks what the receiver depends on, and the receiver itself, under load, and counts
//! what happened to every report that was answered 204.
//!
//! A scenario starts receivers and databases of its own, causes a fault, lets everything recover,
//! and compares the ledger of the load with the rows in the database. Start reading at
//! [`scenarios`], which lists them; [`trial`] is the vocabulary that they use.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's output"
)]

mod expected_events;
mod ledger;
mod load;
mod open_load;
mod proxy;
mod recount;
mod report;
mod scenarios;
mod store;
mod trial;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::installation::program_beside_us;
use crate::table::{number, table};
use scenarios::{SCENARIOS, Scenario};
use store::DatabaseEngine;
use trial::TrialOptions;
use verdict::Verdict;

/// Breaks what the receiver depends on, and the receiver itself, under load,
/// and counts what was lost.
#[derive(Parser, Debug)]
#[command(name = "faults")]
struct FaultsCli {
    /// The quick ones only, and those shorter; what is late is noted and fails nothing
    #[arg(long)]
    quick: bool,
    /// The program to test [default: receiptd beside this program]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Only scenarios of these names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Chooses the random moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const COLUMNS: usize = 13;

const HEADER: [&str; COLUMNS] = [
    "scenario",
    "engine",
    "acknowledged",
    "found",
    "lost",
    "doubled",
    "refused",
    "slowest answer",
    "events",
    "not delivered",
    "out of order",
    "repeated",
    "result",
];

/// How many scenarios that mostly wait run at a time.
const WAITING_AT_ONCE: usize = 4;

/// Runs the program `faults`.
pub fn main() -> Result<ExitCode> {
    let cli = FaultsCli::parse();
    if cli.list {
        for Scenario {
            name, title, quick, ..
        } in &SCENARIOS
        {
            let quick = if quick.is_empty() { "" } else { "quick" };
            println!("{name:<18} {quick:<5}  {title}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    for name in &cli.only {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        ensure!(known, "there is no scenario {name}; see --list");
    }
    let program = match &cli.program {
        Some(program) => program.canonicalize()?,
        None => program_beside_us()?,
    };

    let began = Instant::now();
    let mut completed = run_all(schedule(&cli), &cli, &program);
    completed.sort_unstable_by_key(|completed| completed.index);
    let good = completed.iter().all(|completed| completed.good);
    let rows: Vec<_> = completed.into_iter().map(|it| it.row).collect();
    println!("{}", table(&HEADER, &[0, 1, COLUMNS - 1], &rows));
    let result = if good { "all good" } else { "FAILED" };
    println!("{result} after {:.0} s", began.elapsed().as_secs_f64());
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A scenario on an engine.
struct ScheduledRun {
    /// Its row in the table.
    index: usize,
    scenario: &'static Scenario,
    engine: DatabaseEngine,
}

struct CompletedRun {
    index: usize,
    row: [String; COLUMNS],
    good: bool,
}

/// Returns the runs that the options select.
fn schedule(cli: &FaultsCli) -> Vec<ScheduledRun> {
    let is_selected = |scenario: &Scenario, engine| {
        if cli.only.is_empty() {
            !cli.quick || scenario.quick.contains(&engine)
        } else {
            cli.only.iter().any(|name| name == scenario.name)
        }
    };
    let all = SCENARIOS.iter().flat_map(|scenario| {
        let engines = scenario.engines.iter();
        engines.map(move |engine| (scenario, *engine))
    });
    all.filter(|(scenario, engine)| is_selected(scenario, *engine))
        .enumerate()
        .map(|(index, (scenario, engine))| ScheduledRun {
            index,
            scenario,
            engine,
        })
        .collect()
}

/// Runs one scenario after the other, and at last those in parallel that mostly wait. A quick run
/// is for machines that may be busy: nothing runs in parallel.
fn run_all(runs: Vec<ScheduledRun>, cli: &FaultsCli, program: &Path) -> Vec<CompletedRun> {
    let (waiting, alone): (Vec<_>, Vec<_>) = runs
        .into_iter()
        .partition(|run| run.scenario.waits && !cli.quick);
    let mut completed: Vec<_> = alone.iter().map(|run| run.run(cli, program)).collect();
    // From the end of the list, where the longest are.
    let queue = Mutex::new(waiting);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let worker = || {
        let runs = std::iter::from_fn(next);
        runs.map(|run| run.run(cli, program)).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WAITING_AT_ONCE).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            completed.extend(worker.join().expect("a scenario fails and does not panic"));
        }
    });
    completed
}

impl ScheduledRun {
    fn run(&self, cli: &FaultsCli, program: &Path) -> CompletedRun {
        let options = TrialOptions {
            program: program.to_owned(),
            engine: self.engine,
            quick: cli.quick,
            seed: cli.seed,
        };
        let began = Instant::now();
        let mut verdict = (self.scenario.run)(&options);
        if let Ok(verdict) = &mut verdict {
            verdict.judge_times(!cli.quick);
        }
        let row = self.row(&verdict);
        eprintln!(
            "{} ({:.0} s)",
            row.join(" | "),
            began.elapsed().as_secs_f64()
        );
        CompletedRun {
            index: self.index,
            row,
            good: verdict.is_ok_and(|verdict| verdict.is_good()),
        }
    }

    fn row(&self, verdict: &Result<Verdict>) -> [String; COLUMNS] {
        let cells = match verdict {
            Ok(verdict) => verdict.cells(),
            Err(error) => {
                // The table has room for the beginning of it.
                eprintln!("{}: {error:#}", self.scenario.name);
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                let mut cells = std::array::from_fn(|_| number(None));
                cells[10] = format!("FAILED; {first}");
                cells
            }
        };
        let named = [self.scenario.title, self.engine.name()].map(str::to_owned);
        let mut all = named.into_iter().chain(cells);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }
}
