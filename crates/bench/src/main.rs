//! `bench` measures the built program and prints one table.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program's voice"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use bench::database::Postgres;
use bench::machine::Machine;
use bench::measure::{Bench, program_beside_us};
use bench::row::Measured;
use bench::table::{markdown, number};
use bench::{ceiling, growth, ratios, soak, suite};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;

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
    /// What a report costs with 0, 1 and 10 million reports stored
    #[arg(long, conflicts_with_all = ["compare", "quick", "json"])]
    growth: bool,
    /// Memory over so many minutes, on both engines at once
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["compare", "growth", "quick", "json"])]
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
    },
}

/// What the table does not say of itself.
const NOTES: &str = "\
Processor time (µs) is that of a request, or of a report where there is no HTTP; SQLite works
within the receiver. A latency is that of a report: in two steps, of both requests together.
- two steps: every report first without credentials, as Twilio sends it.
- HTTP ceiling: the same server library, proof and form, and a store that records nothing.
- floor: the receiver's own statement, without HTTP, from one connection.
- one report a statement: the same statement for single reports.
- half of its most: at a fixed rate, from when each report was due.
- beside guesses: while 64 more connections send wrong passwords, as fast as they are refused.
  Those are among the requests, and their processor time is; the other columns are good traffic's.
- one transaction a request: the receiver with group commit switched off, 16 writers.
Every report that was answered 204 was found in the database once.
";

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Ceiling { listen }) => ceiling::serve(listen),
        None => measure(cli.options),
    }
}

fn measure(options: Options) -> Result<()> {
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
        println!("{}\n{machine}", growth::NOTES);
        return Ok(());
    }
    if let Some(minutes) = options.soak {
        let samples = soak::run(&bench, minutes, options.rate, told)?;
        let rows: Vec<_> = samples.iter().map(soak::Sample::cells).collect();
        println!("{}", markdown(soak::Sample::HEADER, &rows));
        println!("{} reports a second each; {machine}", options.rate);
        return Ok(());
    }
    let rows = match options.compare {
        Some(Compare::Writers) => suite::writers(),
        None => suite::rows(),
    };
    let results = suite::run(&bench, rows, rounds, told)?;
    let ratios = ratios::of(&results);

    if options.json {
        let rows: Vec<_> = results
            .rows
            .iter()
            .map(|(row, measured)| {
                json!({
                    "name": row.name(),
                    "connections": row.connections,
                    "medians": Measured::medians(measured),
                    "rounds": measured,
                })
            })
            .collect();
        let all = json!({
            "rounds": rounds, "seconds": seconds, "rows": rows, "ratios": ratios, "machine": machine,
        });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("Medians of {rounds} rounds of {seconds} s.\n");
    let rows: Vec<_> = results
        .rows
        .iter()
        .map(|(row, measured)| Measured::medians(measured).cells(*row))
        .collect();
    println!("{}", markdown(Measured::HEADER, &rows));
    println!("{NOTES}");
    let rows: Vec<_> = ratios
        .iter()
        .map(|ratio| [ratio.name.to_owned(), number(ratio.value)])
        .collect();
    println!("{}", markdown(["ratio or figure", "value"], &rows));
    println!("{machine}");
    Ok(())
}
