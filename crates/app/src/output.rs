//! Writes answers to standard output, and hints and errors to standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::iter;
use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use adapter_http::wire::LagView;
use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, FileType, fallocate, fstat};
use rustix::io::Errno;
use serde::Serialize;

use crate::{config, layout, telemetry};

/// Upper bound of what a command that shows a secret prints.
const SECRET_OUTPUT_BYTES: u64 = 16 * 1024;

/// The first error of writing to standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Prints a text and a newline.
fn print(text: &str) {
    printed(writeln!(io::stdout().lock(), "{text}"));
}

/// Records for [`finish`] that a write failed.
pub fn printed(written: io::Result<()>) {
    if let Err(error) = written {
        // The first error is kept.
        let _ = FAILURE.set(error);
    }
}

/// Fails if an answer was not written. A closed pipe, as in `receiptd message list | head`, is not
/// an error.
pub fn finish() -> Result<()> {
    match FAILURE.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(error)),
        Some(_) | None => Ok(()),
    }
}

/// Fails if standard output cannot be written, as far as that is known beforehand. Called before
/// a command generates a secret, which is shown only once.
pub fn check_writable() -> Result<()> {
    let stdout = io::stdout();
    let fd = stdout.as_fd();
    let stat = fstat(fd)?;
    let checked = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo | FileType::Socket => {
            let mut polled = [PollFd::new(&fd, PollFlags::OUT)];
            poll(&mut polled, Some(&Timespec::default()))?;
            let broken = polled
                .iter()
                .any(|each| each.revents().contains(PollFlags::ERR));
            if broken { Err(Errno::PIPE) } else { Ok(()) }
        }
        FileType::RegularFile => {
            let end = u64::try_from(stat.st_size)?;
            match fallocate(fd, FallocateFlags::KEEP_SIZE, end, SECRET_OUTPUT_BYTES) {
                Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => Err(full),
                // Not every file system can reserve space.
                Ok(()) | Err(_) => Ok(()),
            }
        }
        // Only a write shows it, for instance on `/dev/full`.
        FileType::CharacterDevice if !stdout.is_terminal() => {
            rustix::io::write(fd, b"\n").map(drop)
        }
        _ => Ok(()),
    };
    let checked = checked.map_err(io::Error::from);
    checked.map_err(|error| unwritten(&error).context("nothing was changed"))
}

/// Fails if anything was not written, a closed pipe included. `done` says what was changed
/// already, and what to do now.
pub fn ensure_shown(done: impl FnOnce() -> String) -> Result<()> {
    match FAILURE.get() {
        Some(error) => Err(unwritten(error)).with_context(done),
        None => Ok(()),
    }
}

fn unwritten(error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("standard output cannot be written: {error}")
}

/// Prints a line of an endless answer. Returns `false` if it could not be written.
pub fn streamed(text: &str) -> bool {
    print(text);
    FAILURE.get().is_none()
}

/// Prints a line for people to read.
pub fn line(text: impl AsRef<str>) {
    print(text.as_ref());
}

/// Prints a hint, which is not part of the answer, to standard error.
pub fn hint(text: impl AsRef<str>) {
    telemetry::write_line(text.as_ref());
}

/// Prints an error with its causes to standard error.
pub fn error(error: &anyhow::Error) {
    telemetry::write_line(format_args!("receiptd: {error:#}"));
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Formats a time to the second, in UTC, in the form that options like `--since` accept:
/// `2026-11-22T18:06:19Z`.
pub fn time(time: impl Display) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// Formats a time like [`time`], or `never`.
pub fn time_or_never(at: Option<impl Display>) -> String {
    at.map_or("never".to_owned(), time)
}

/// Formats how far a reader lags.
pub fn lag(lag: &LagView) -> String {
    let LagView {
        reports,
        events,
        seconds,
        ..
    } = lag;
    let more = if lag.more { "more than " } else { "" };
    let gone = if lag.pruned {
        "; retention has removed some of them"
    } else {
        ""
    };
    format!("{more}{reports} reports, {events} events, {seconds} s{gone}")
}

/// Prints a table that fits the terminal, or `empty` if there are no rows. `empty` says so and
/// what to do next.
pub fn table(
    header: impl IntoIterator<Item = &'static str>,
    rows: impl IntoIterator<Item = Vec<String>>,
    empty: &str,
) {
    let printable = |cell: String| cell.replace(char::is_control, " ");
    let rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(printable).collect());
    let header = header.into_iter().map(str::to_owned).collect();
    let all: Vec<_> = iter::once(header).chain(rows).collect();
    if all.len() == 1 {
        return print(empty);
    }
    print(&layout::table(&all, width()));
}

/// Prints the fields of one item under its title, without the empty ones. Longer values are
/// wrapped to the terminal.
pub fn fields<'a>(title: &str, fields: impl IntoIterator<Item = (&'a str, String)>) {
    let fields: Vec<_> = fields.into_iter().collect();
    let names = fields.iter().map(|(name, _)| name.len());
    let names = names.max().unwrap_or_default();
    print(title);
    for (name, value) in fields {
        let wrapped = layout::wrap(&value, width().saturating_sub(names + 4));
        for (number, line) in wrapped.iter().enumerate() {
            let name = if number == 0 { name } else { "" };
            print(&format!("  {name:names$}  {line}"));
        }
    }
}

/// Returns a text wrapped to the terminal, later lines indented below a list mark.
pub fn wrapped(text: &str) -> String {
    layout::wrap(text, width().saturating_sub(2)).join("\n  ")
}

/// Returns the width of the output: `COLUMNS`, or that of the terminal. It is unlimited for
/// files and pipes.
pub fn width() -> usize {
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    let width = config::columns().or_else(|| terminal().map(usize::from));
    width.filter(|width| *width > 0).unwrap_or(usize::MAX)
}

/// Joins two texts in one line, or in two, the second indented and wrapped, if the terminal is too
/// narrow.
pub fn one_line_or_two(first: &str, second: &str) -> String {
    layout::one_line_or_two(first, second, width())
}
