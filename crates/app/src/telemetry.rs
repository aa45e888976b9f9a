//! Writes log lines to standard error. Standard output is for answers.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::panic;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;
use crate::log_queue::LogQueue;

/// How long the process waits for its last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// All lines for standard error are written through this queue.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Silences the HTTP library: it logs its threads and every malformed request from the internet.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// The crates of this program. A filter calls all of them `receiptd`.
const CRATES: [&str; 10] = [
    "receiptd",
    "domain",
    "ports",
    "usecases",
    "adapter_journal",
    "adapter_http",
    "adapter_integrators",
    "adapter_postgres",
    "adapter_sqlite",
    "adapter_webhook",
];

/// Starts writing log lines. An invalid filter is logged and replaced by `info`: a mistyped filter
/// must not prevent the start. Fails if the thread that writes the lines cannot be started.
pub fn start(filter: &str, format: LogFormat) -> io::Result<()> {
    let (filter, error) = match parse(filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(format!("info,{QUIET}")), Some(error)),
    };
    let queue = LogQueue::start(io::stderr())?;
    let queue = QUEUE.get_or_init(|| queue);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    // The default hook writes to standard error directly, which may block.
    panic::set_hook(Box::new(|panic| {
        write_line(panic);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            write_line(backtrace);
        }
    }));
    if let Some(error) = error {
        tracing::warn!(error = %format!("{error:#}"), "RECEIPTD_LOG is not a valid log filter; using info");
    }
    Ok(())
}

/// Writes a line to standard error, independent of the log filter.
pub fn write_line(text: impl Display) {
    match QUEUE.get() {
        Some(queue) => queue.push(format!("{text}\n").as_bytes()),
        // Before `start`, no other thread writes.
        None => drop(writeln!(io::stderr(), "{text}")),
    }
}

/// Returns how many lines were dropped because standard error could not be written.
pub fn dropped_lines() -> u64 {
    QUEUE.get().map_or(0, LogQueue::dropped)
}

/// Waits until all lines are written, at most for [`FLUSH_TIMEOUT`].
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_TIMEOUT);
    }
}

/// Parses a log filter: a level, or levels for parts of the program and its libraries.
pub fn parse(filter: &str) -> Result<EnvFilter> {
    let (mut all, mut directives) = (LevelFilter::INFO, QUIET.to_owned());
    for directive in filter
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        match directive.split_once('=') {
            // `EnvFilter` parses an unknown word as a module and silences all others.
            None => {
                all = directive
                    .parse()
                    .with_context(|| format!("{directive:?} is not a level like info or debug"))?;
            }
            Some(("receiptd", level)) => {
                for part in CRATES {
                    write!(directives, ",{part}={level}")?;
                }
            }
            Some(_) => write!(directives, ",{directive}")?,
        }
    }
    EnvFilter::try_new(format!("{all},{directives}"))
        // The error repeats its source.
        .map_err(|error| anyhow!("a filter is like debug,sqlx=warn: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_sets_levels_for_all_or_for_parts() {
        for (filter, most) in [
            ("", LevelFilter::INFO),
            ("warn", LevelFilter::WARN),
            ("debug,sqlx=warn", LevelFilter::DEBUG),
            ("receiptd=trace", LevelFilter::TRACE),
            ("sqlx=debug", LevelFilter::DEBUG),
        ] {
            let parsed = parse(filter).unwrap();
            assert_eq!(parsed.max_level_hint(), Some(most), "{filter}");
        }
        let parts = parse("receiptd=debug").unwrap().to_string();
        assert!(
            parts.contains("usecases=debug") && parts.contains("info"),
            "{parts}"
        );
    }

    #[test]
    fn unknown_level_is_an_error() {
        for filter in ["inf", "receiptd", "bogus=level=x", "debug,inf"] {
            assert!(parse(filter).is_err(), "{filter}");
        }
    }
}
