//! `faults` breaks what the receiver depends on, and the receiver itself, under
//! load, and counts what became of every report that was answered 204.
//!
//! A scenario starts receivers and databases of its own, makes its fault, lets
//! everything recover, and compares the ledger of the load with the rows in the
//! database. Start reading at `scenarios/mod.rs`, which lists them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's voice"
)]
#![expect(
    unreachable_pub,
    reason = "a program of one crate: what its modules share is as public as it gets"
)]

mod connection;
mod finding;
mod happened;
mod home;
mod ledger;
mod load;
mod proxy;
mod receiver;
mod report;
mod scenarios;
mod store;
mod table;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;

use finding::Finding;
use scenarios::{SCENARIOS, Scenario};
use store::Engine;

/// Breaks what the receiver depends on, and the receiver itself, under load,
/// and counts what was lost.
#[derive(Parser, Debug)]
#[command(name = "faults")]
struct Cli {
    /// The quick ones only, and those shorter; what is late is noted and fails nothing
    #[arg(long)]
    quick: bool,
    /// The program to test [default: receiptd beside this program]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Only scenarios of these names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Tell which scenarios there are
    #[arg(long)]
    list: bool,
    /// Chooses the random moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a scenario is played with.
#[derive(Debug)]
pub struct Stage {
    program: PathBuf,
    engine: Engine,
    quick: bool,
    seed: u64,
}

const HEADER: [&str; 13] = [
    "scenario",
    "engine",
    "acknowledged",
    "found",
    "lost",
    "doubled",
    "refused",
    "slowest answer",
    "events",
    "not told",
    "out of order",
    "repeated",
    "result",
];

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if cli.list {
        for scenario in &SCENARIOS {
            let quick = if scenario.quick.is_empty() {
                ""
            } else {
                "quick"
            };
            println!("{:<18} {quick:<5}  {}", scenario.name, scenario.title);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = chosen(&cli)?;
    let program = match &cli.program {
        Some(program) => program.canonicalize()?,
        None => program_beside_us()?,
    };

    let began = Instant::now();
    let played = play(turns(&cli, &chosen), &cli, &program);
    let good = played.iter().all(|played| played.good);
    let rows: Vec<_> = played.into_iter().map(|played| played.row).collect();
    println!("{}", table::table(HEADER, &rows));
    let verdict = if good { "all good" } else { "FAILED" };
    println!("{verdict} after {:.0} s", began.elapsed().as_secs_f64());
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How many scenarios that mostly wait are played at a time.
const AT_ONCE: usize = 4;

/// A scenario on an engine.
struct Turn {
    /// Its line in the table.
    place: usize,
    scenario: &'static Scenario,
    engine: Engine,
}

/// What came of a turn.
struct Played {
    place: usize,
    row: [String; 13],
    good: bool,
}

fn turns(cli: &Cli, chosen: &[&'static Scenario]) -> Vec<Turn> {
    let all = chosen.iter().flat_map(|scenario| {
        let engines = scenario.engines.iter();
        engines.map(move |engine| (*scenario, *engine))
    });
    let left_out = |scenario: &Scenario, engine| {
        cli.only.is_empty() && cli.quick && !scenario.quick.contains(&engine)
    };
    all.filter(|(scenario, engine)| !left_out(scenario, *engine))
        .enumerate()
        .map(|(place, (scenario, engine))| Turn {
            place,
            scenario,
            engine,
        })
        .collect()
}

/// Plays one after the other, and at last those side by side that mostly wait. The quick
/// ones are for machines that may be busy, where nothing is played beside anything.
fn play(turns: Vec<Turn>, cli: &Cli, program: &Path) -> Vec<Played> {
    let (beside, alone): (Vec<_>, Vec<_>) = turns
        .into_iter()
        .partition(|turn| turn.scenario.waits && !cli.quick);
    let mut played: Vec<_> = alone
        .iter()
        .map(|turn| play_one(turn, cli, program))
        .collect();
    // From the last one on: the longest stand there.
    let queue = Mutex::new(beside);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let lane = || {
        let mut played = Vec::new();
        while let Some(turn) = next() {
            played.push(play_one(&turn, cli, program));
        }
        played
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            played.extend(lane.join().expect("a scenario fails and does not panic"));
        }
    });
    played.sort_unstable_by_key(|played| played.place);
    played
}

fn play_one(turn: &Turn, cli: &Cli, program: &Path) -> Played {
    let stage = Stage {
        program: program.to_owned(),
        engine: turn.engine,
        quick: cli.quick,
        seed: cli.seed,
    };
    let began = Instant::now();
    let finding = (turn.scenario.run)(&stage).map(|mut finding| {
        finding.judge_times(!cli.quick);
        finding
    });
    let row = row(turn.scenario, turn.engine, &finding);
    eprintln!(
        "{} ({:.0} s)",
        row.join(" | "),
        began.elapsed().as_secs_f64()
    );
    Played {
        place: turn.place,
        row,
        good: finding.is_ok_and(|finding| finding.is_good()),
    }
}

/// The one that was built together with this program.
fn program_beside_us() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.parent().unwrap_or(Path::new(".")).join("receiptd");
    ensure!(
        program.is_file(),
        "{} is not there; build it first, or name another one with --program",
        program.display()
    );
    Ok(program)
}

fn chosen(cli: &Cli) -> Result<Vec<&'static Scenario>> {
    for name in &cli.only {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        ensure!(known, "there is no scenario {name}; see --list");
    }
    let is_chosen = |scenario: &&Scenario| {
        if cli.only.is_empty() {
            !scenario.quick.is_empty() || !cli.quick
        } else {
            cli.only.iter().any(|name| name == scenario.name)
        }
    };
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

fn row(scenario: &Scenario, engine: Engine, finding: &Result<Finding>) -> [String; 13] {
    let cells = match finding {
        Ok(finding) => finding.cells(),
        Err(error) => {
            // The whole story; the table has room for its beginning.
            eprintln!("{}: {error:#}", scenario.name);
            let first = error.to_string();
            let first = first.lines().next().unwrap_or_default();
            let mut cells = std::array::from_fn(|_| nothing());
            cells[10] = format!("FAILED; {first}");
            cells
        }
    };
    let mut row = std::array::from_fn(|_| String::new());
    let named = [scenario.title.to_owned(), engine.name().to_owned()];
    for (place, cell) in row.iter_mut().zip(named.into_iter().chain(cells)) {
        *place = cell;
    }
    row
}

fn nothing() -> String {
    "–".to_owned()
}
