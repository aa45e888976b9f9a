//! `receiptd` receives WhatsApp delivery reports, keeps them, works out the
//! true state of every message and shows it.
//!
//! This crate wires the others together and holds what belongs to a program:
//! command line, settings, telemetry, and the life of the process. It holds no
//! rule of the business. Start reading at [`composition`] for what is connected to
//! what, and at [`commands::serve`] for the life of the server.

#![expect(unreachable_pub, reason = "nobody reaches into a program")]

mod cli;
mod commands;
mod composition;
mod config;
mod event_sink;
mod lifecycle;
mod log_queue;
mod open_files;
mod outage;
mod output;
mod pushing;
mod system;
mod telemetry;
mod workers;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

fn main() -> ExitCode {
    let code = match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    };
    telemetry::flush();
    code
}

fn run() -> Result<()> {
    let cli = match cli::Cli::read() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => {
            output::printed(help.print());
            return output::finish();
        }
        Err(mistake) => mistake.exit(),
    };
    let mut filter = cli.settings.log.clone();
    if cli.command.is_demo() {
        filter.push_str(",usecases::received=debug");
    }
    let log = telemetry::start(&filter, cli.settings.log_format);
    log.context("log lines cannot be written")?;
    commands::run(cli)?;
    output::finish()
}
