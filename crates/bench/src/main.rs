//! `bench` measures the built program and prints a table of reports and one of
//! events.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's voice"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use bench::database::Postgres;
use bench::events::{self, row::Row as EventRow};
use bench::machine::Machine;
use bench::measure::{Bench, program_beside_us};
use bench::ratios::Ratio;
use bench::row::{Measured, Row};
use bench::suite::Failures;
use bench::table::{markdown, number};
use bench::{ceiling, growth, ratios, soak, suite};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// Measures throughput and latency of the built program, of the database alone
/// and of HTTP alone, in alternation on this machine.
#[derive(Parser, Debug)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
struct Options {
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many seconds each measurement takes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// One round of one second: does everything work, roughly how fast
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Only these, beside each other
    #[arg(long, value_enum)]
    compare: Option<Compare>,
    /// Only the table `reports` or `events`, or only the rows whose names contain this text
    #[arg(long, value_name = "TABLE|TEXT", conflicts_with = "compare")]
    only: Option<String>,
    /// What a report costs with 0, 1 and 10 million reports stored
    #[arg(long, conflicts_with_all = ["compare", "only", "quick", "json"])]
    growth: bool,
    /// Memory over so many minutes, on both engines at once
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["compare", "only", "growth", "quick", "json"])]
    soak: Option<u16>,
    /// How many reports a second each engine gets then
    #[arg(long, default_value_t = suite::ONE_SENDER, requires = "soak")]
    rate: u32,
    /// Print JSON, all rounds included
    #[arg(long)]
    json: bool,
    /// The program to measure [default: receiptd beside this program]
    #[arg(long, value_name = "PATH")]
    receiver: Option<PathBuf>,
}

/// What can be measured for itself.
#[derive(ValueEnum, Clone, Copy, Debug)]
enum Compare {
    /// One writer and two, at 64 and 256 connections
    Writers,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the HTTP ceiling; started by the benchmark itself
    Ceiling {
        /// Where to listen
        #[arg(long)]
        listen: SocketAddr,
        /// How far a report goes
        #[arg(long, value_enum)]
        depth: ceiling::Depth,
    },
}

/// Explains the rows and columns of the table of reports.
const NOTES: &str = "\
Times in µs are CPU time per request, or per report where there is no HTTP; SQLite runs inside
the receiver. Latencies are per report; with two steps, of both requests together.
- two steps: each report is first sent without credentials, as Twilio does.
- HTTP ceiling: the same HTTP server, authentication, parsing and answer, and nothing else.
- HTTP and ingest queue, no store: the same plus the ingest queue over a store that records nothing.
- floor: the receiver's own statement without HTTP, from one connection.
- one report per statement: the same statement for single reports.
- 50 % of peak: at a fixed rate; latency counts from the moment a report was due.
- beside password guessing: 64 more connections send wrong passwords as fast as they are refused.
  Those count as requests and in the CPU time; the other columns show good traffic only.
- one transaction per request: the receiver with group commit switched off, 16 writers.
Every report that was answered 204 was found in the database exactly once.
";

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Ceiling { listen, depth }) => ceiling::serve(listen, depth),
        None => measure(cli.options),
    }
}

fn measure(options: Options) -> Result<()> {
    let (rounds, seconds) = if options.quick {
        (1, 1)
    } else {
        (options.rounds, options.seconds)
    };
    let backlog = if options.quick { 3_000 } else { 30_000 };
    let program = match options.receiver {
        Some(program) => program.canonicalize()?,
        None => program_beside_us()?,
    };
    let postgres = Postgres::start()?;
    let machine = Machine::here(postgres.description().to_owned())?;
    if machine.is_busy() {
        eprintln!("others work on this machine; the figures will be lower than they could be");
    }
    let bench = Bench {
        program,
        postgres,
        warm_up: Duration::from_millis(if options.quick { 300 } else { 750 }),
        measured: Duration::from_secs(seconds.into()),
    };
    let told = |line: &str| eprintln!("{line}");
    if options.growth {
        let lines = growth::run(&bench, rounds.min(growth::ROUNDS_MAX), told)?;
        println!("{}", markdown(growth::Line::HEADER, &growth::cells(&lines)));
        println!("{}\n{}", growth::NOTES, machine.after_all());
        return Ok(());
    }
    if let Some(minutes) = options.soak {
        let samples = soak::run(&bench, minutes, options.rate, told)?;
        let rows: Vec<_> = samples.iter().map(soak::Sample::cells).collect();
        println!("{}", markdown(soak::Sample::HEADER, &rows));
        let machine = machine.after_all();
        println!("{} reports a second each; {machine}", options.rate);
        return Ok(());
    }
    let (reports, events) = selected_rows(options.compare, options.only.as_deref())?;
    let mut failures = Failures::default();
    let results = Results {
        reports: if reports.is_empty() {
            suite::Results::default()
        } else {
            suite::run(&bench, reports, rounds, &mut failures, told)
        },
        events: events::suite::run(&bench, events, rounds, backlog, &mut failures, told),
    };
    let machine = machine.after_all();
    if options.json {
        let all = results.json(rounds, seconds, &machine);
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("Medians of {rounds} rounds of {seconds} s.\n");
        results.print();
        println!("{machine}");
    }
    failures.into_result()
}

/// The rows of both tables that the options ask for.
fn selected_rows(
    compare: Option<Compare>,
    only: Option<&str>,
) -> Result<(Vec<Row>, Vec<EventRow>)> {
    if matches!(compare, Some(Compare::Writers)) {
        return Ok((suite::writers(), Vec::new()));
    }
    let (mut reports, mut events) = (suite::rows(), events::suite::rows());
    match only {
        None => {}
        Some("reports") => events.clear(),
        Some("events") => reports.clear(),
        Some(text) => {
            suite::select(&mut reports, text);
            events::suite::select(&mut events, text);
            ensure!(
                !reports.is_empty() || !events.is_empty(),
                "--only {text}: no row has this in its name"
            );
        }
    }
    Ok((reports, events))
}

/// Both tables; one of them may be empty.
struct Results {
    reports: suite::Results,
    events: events::suite::Results,
}

impl Results {
    fn ratios(&self) -> Vec<Ratio> {
        let mut ratios = ratios::of(&self.reports);
        ratios.extend(events::ratios::of(&self.events));
        ratios
    }

    fn print(&self) {
        if !self.reports.rows.is_empty() {
            let rows = self.reports.rows.iter();
            let rows: Vec<_> = rows
                .map(|(row, measured)| Measured::medians(measured).cells(*row))
                .collect();
            println!("{}", markdown(Measured::HEADER, &rows));
            println!("{NOTES}");
        }
        if !self.events.is_empty() {
            let rows = self.events.iter();
            let rows: Vec<_> = rows
                .map(|(row, measured)| row.cells(&Measured::medians(measured)))
                .collect();
            println!("{}", markdown(EventRow::HEADER, &rows));
            println!("{}", events::suite::NOTES);
        }
        let rows: Vec<_> = self
            .ratios()
            .iter()
            .map(|ratio| [ratio.name.to_owned(), number(ratio.value)])
            .collect();
        println!("{}", markdown(["ratio or figure", "value"], &rows));
    }

    fn json(&self, rounds: u32, seconds: u16, machine: &Machine) -> Value {
        let reports = self.reports.rows.iter().map(|(row, measured)| {
            json!({
                "name": row.name(),
                "connections": row.connections,
                "medians": Measured::medians(measured),
                "rounds": measured,
            })
        });
        let events = self.events.iter().map(|(row, measured)| {
            json!({
                "name": row.name(),
                "medians": Measured::medians(measured),
                "rounds": measured,
            })
        });
        json!({
            "rounds": rounds,
            "seconds": seconds,
            "rows": reports.collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
            "ratios": self.ratios(),
            "machine": machine,
        })
    }
}
