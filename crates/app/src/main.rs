//! `receiptd` receives WhatsApp delivery reports, stores them, computes the true state of every
//! message and shows it.
//!
//! This crate connects the others and contains what belongs to a program: command line, settings,
//! telemetry, start and shutdown. It contains no business rules. Start reading at [`composition`],
//! which connects the parts, and at [`commands::serve`], which runs the server.

#![expect(unreachable_pub, reason = "a program exports nothing")]

mod background;
mod calendar;
mod cli;
mod commands;
mod composition;
mod config;
mod degraded_mode;
mod event_delivery;
mod forwarding;
mod layout;
mod log_queue;
mod low_priority;
mod open_files;
mod output;
mod reconciliation;
mod shutdown;
mod statistics;
mod system;
mod telemetry;
mod trouble;
mod view;
mod webhook_sender;

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
    let mut filter = cli.settings.logs.log.clone();
    if cli.command.is_demo() {
        filter.push_str(",usecases::received=debug");
    }
    let log = telemetry::start(&filter, cli.settings.logs.log_format);
    log.context("cannot start writing the log")?;
    commands::run(cli)?;
    output::finish()
}
