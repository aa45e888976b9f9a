//! The command line of `bench`, and what it prints: a table of reports and one of events.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's output"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::database::Postgres;
use crate::installation::program_beside_us;
use crate::machine::Machine;
use crate::measure::Bench;
use crate::row::{Column, EVENT_COLUMNS, Measured, REPORT_COLUMNS, Row};
use crate::suite::Results;
use crate::table::{number, table};
use crate::{ceiling, growth, growth_pages, ratios, suite};

/// Measures throughput and latency of the built program, of the database alone
/// and of HTTP alone, in alternation on this machine.
#[derive(Parser, Debug)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct BenchCli {
    #[command(flatten)]
    options: BenchOptions,
    #[command(subcommand)]
    command: Option<BenchCommand>,
}

#[derive(Args, Debug)]
struct BenchOptions {
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many seconds each measurement takes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// One round of one second: does everything work, roughly how fast
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Compare only these
    #[arg(long, value_enum)]
    compare: Option<Compare>,
    /// Only the table `reports` or `events`, or only the rows whose names contain this text
    #[arg(long, value_name = "TABLE|TEXT", conflicts_with = "compare")]
    only: Option<String>,
    /// What a report costs with 0, 1 and 10 million reports stored
    #[arg(long, conflicts_with_all = ["compare", "only", "quick", "json"])]
    growth: bool,
    /// The console's pages beside so many stored messages and a year of statistics
    #[arg(long, value_name = "MESSAGES", conflicts_with_all = ["compare", "only", "growth", "soak", "quick", "json"])]
    growth_pages: Option<u64>,
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

/// What can be measured alone.
#[derive(ValueEnum, Clone, Copy, Debug)]
enum Compare {
    /// One writer and two, at 64 and 256 connections
    Writers,
}

#[derive(Subcommand, Debug)]
enum BenchCommand {
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
const REPORT_NOTES: &str = "\
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
- statistics counted, not counted: the receiver with its background work, and with --no-workers.
- one transaction per request: the receiver with group commit switched off, 16 writers.
Every report that was answered 204 was found in the database exactly once.
";

/// Explains the rows of the table of events.
const EVENT_NOTES: &str = "\
- event after its 204: from the integrator's answer until the subscriber has the event;
  1,000 reports per second, 64 connections.
- backlog delivered: events stored before, delivered to a new subscription; CPU time is per
  event there, per report elsewhere.
- receiver: 256 connections at peak, or at 50 % of the peak measured without subscriptions. The
  5 subscriptions receive every event; the endpoint of one hangs.
Every event was delivered in the order of its message; only the receiver rows end before that.
";

/// Runs the program `bench`.
pub fn main() -> Result<()> {
    let cli = BenchCli::parse();
    match cli.command {
        Some(BenchCommand::Ceiling { listen, depth }) => ceiling::serve(listen, depth),
        None => measure(cli.options),
    }
}

fn measure(options: BenchOptions) -> Result<()> {
    let (rounds, seconds) = if options.quick {
        (1, 1)
    } else {
        (options.rounds, options.seconds)
    };
    let program = match options.receiver {
        Some(program) => program.canonicalize()?,
        None => program_beside_us()?,
    };
    let postgres = Postgres::start()?;
    let machine = Machine::describe(postgres.description.clone())?;
    if machine.is_busy() {
        eprintln!("this machine is busy; the results will be lower than they could be");
    }
    let bench = Bench {
        program,
        postgres,
        warm_up: Duration::from_millis(if options.quick { 300 } else { 750 }),
        measured: Duration::from_secs(seconds.into()),
        backlog: if options.quick { 3_000 } else { 30_000 },
    };
    let progress = |line: &str| eprintln!("{line}");
    if options.growth {
        let rows = growth::run(&bench, rounds.min(growth::ROUNDS_MAX), progress)?;
        let table = table(&growth::GrowthRow::HEADER, &[0], &growth::cells(&rows));
        println!("{table}\n{}\n{}", growth::NOTES, machine.with_stolen_time());
        return Ok(());
    }
    if let Some(messages) = options.growth_pages {
        let costs = growth_pages::run(&bench, messages, progress)?;
        let table = table(&growth_pages::HEADER, &[0], &growth_pages::cells(&costs));
        println!("{table}\n{}", machine.with_stolen_time());
        return growth_pages::check(&costs);
    }
    if let Some(minutes) = options.soak {
        let rows = bench.soak(minutes, options.rate, progress)?;
        let header = ["minute", "on PostgreSQL, MiB", "on SQLite, MiB"];
        println!("{}", table(&header, &[0], &rows));
        let machine = machine.with_stolen_time();
        println!("{} reports per second each; {machine}", options.rate);
        return Ok(());
    }
    let rows = selected_rows(options.compare, options.only.as_deref())?;
    let results = Results::measure(&bench, rows, rounds, progress);
    let machine = machine.with_stolen_time();
    if options.json {
        let all = json(&results, rounds, seconds, &machine);
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("Medians of {rounds} rounds of {seconds} s.\n");
        print(&results);
        println!("{machine}");
    }
    results.check()
}

/// Returns the rows of both tables that the options select.
fn selected_rows(compare: Option<Compare>, only: Option<&str>) -> Result<Vec<Row>> {
    if let Some(Compare::Writers) = compare {
        return Ok(suite::writers());
    }
    let mut rows = suite::rows();
    if let Some(text) = only {
        suite::select(&mut rows, text);
        ensure!(
            !rows.is_empty(),
            "--only {text}: no row has this in its name"
        );
    }
    Ok(rows)
}

fn print(results: &Results) {
    print_table(results, false, REPORT_COLUMNS, REPORT_NOTES);
    print_table(results, true, EVENT_COLUMNS, EVENT_NOTES);
    let ratios = ratios::of(results).into_iter();
    let ratios = ratios.map(|ratio| [ratio.name.to_owned(), number(ratio.value)]);
    let ratios: Vec<_> = ratios.collect();
    println!("{}", table(&["ratio or figure", "value"], &[0], &ratios));
}

fn print_table(results: &Results, of_events: bool, columns: &[Column], notes: &str) {
    // The rows about events differ in no number of connections.
    let with_connections = !of_events;
    let rows: Vec<_> = results
        .table(of_events)
        .map(|(row, measured)| {
            let connections = with_connections.then(|| row.connections.to_string());
            let cells = Measured::medians(measured).cells(columns);
            let named = [row.name()].into_iter().chain(connections);
            named.chain(cells).collect::<Vec<_>>()
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let header = [""].into_iter();
    let header = header.chain(with_connections.then_some("connections"));
    let header: Vec<_> = header
        .chain(columns.iter().map(|(name, _)| *name))
        .collect();
    println!("{}\n{notes}", table(&header, &[0], &rows));
}

fn json(results: &Results, rounds: u32, seconds: u16, machine: &Machine) -> Value {
    let rows = |of_events| {
        let rows = results.table(of_events).map(|(row, measured)| {
            let mut json = json!({
                "name": row.name(),
                "medians": Measured::medians(measured),
                "rounds": measured,
            });
            if let Some(row_json) = json.as_object_mut().filter(|_| !of_events) {
                row_json.insert("connections".to_owned(), json!(row.connections));
            }
            json
        });
        rows.collect::<Vec<_>>()
    };
    json!({
        "rounds": rounds,
        "seconds": seconds,
        "rows": rows(false),
        "events": rows(true),
        "ratios": ratios::of(results),
        "machine": machine,
    })
}
