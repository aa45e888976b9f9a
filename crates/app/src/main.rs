//! `receiptd` receives WhatsApp delivery reports, keeps them, works out the
//! true state of every message and shows it.
//!
//! This crate wires the others together and holds what belongs to a program:
//! command line, settings, telemetry, and the life of the process. It holds no
//! rule of the business. Start reading at [`wiring`] for what is connected to
//! what, and at [`commands::serve`] for the life of the server.

#![expect(unreachable_pub, reason = "nobody reaches into a program")]

mod at_home;
mod cli;
mod commands;
mod config;
mod event_sink;
mod lifecycle;
mod open_files;
mod outage;
mod output;
mod pushing;
mod system;
mod telemetry;
mod wiring;
mod workers;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    telemetry::start(&cli.settings.log, cli.settings.log_format);
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
