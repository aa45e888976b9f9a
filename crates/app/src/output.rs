//! What people and programs read on standard output and standard error.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use adapter_http::wire::LagView;
use anyhow::{Context as _, Result};
use comfy_table::{ContentArrangement, Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, FileType, fallocate, fstat};
use rustix::io::Errno;
use serde::Serialize;

use crate::telemetry;

/// More than any command prints that shows a secret.
const SECRET_OUTPUT_BYTES: u64 = 16 * 1024;

/// Why standard output did not take something, the first time that it did not.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Prints a text and ends its line.
fn print(text: &str) {
    printed(writeln!(io::stdout().lock(), "{text}"));
}

/// Remembers for [`finish`] that something could not be written.
pub fn printed(written: io::Result<()>) {
    if let Err(error) = written {
        // The first error stays.
        let _ = FAILURE.set(error);
    }
}

/// Fails if an answer was not written. A reader that has gone away, as in
/// `receiptd message list | head`, is no error: it did not want the rest.
pub fn finish() -> Result<()> {
    match FAILURE.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(error)),
        Some(_) | None => Ok(()),
    }
}

/// Fails if standard output cannot take a secret that is shown once, as far as that can be known
/// beforehand: before anything is changed.
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
        // Only writing tells; `/dev/null` and its like do not mind.
        FileType::CharacterDevice if !stdout.is_terminal() => {
            rustix::io::write(fd, b"\n").map(drop)
        }
        _ => Ok(()),
    };
    let checked = checked.map_err(io::Error::from);
    checked.map_err(|error| unwritten(&error).context("nothing was changed"))
}

/// Fails if anything was not written, even because the reader has gone away. `done` says what
/// was changed already, and what to do now.
pub fn ensure_shown(done: impl FnOnce() -> String) -> Result<()> {
    match FAILURE.get() {
        Some(error) => Err(unwritten(error)).with_context(done),
        None => Ok(()),
    }
}

fn unwritten(error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("standard output cannot be written: {error}")
}

/// Prints a line of an answer that has no end; `false` if it could not be
/// written.
pub fn streamed(text: &str) -> bool {
    print(text);
    FAILURE.get().is_none()
}

/// Prints a line for people.
pub fn line(text: impl AsRef<str>) {
    print(text.as_ref());
}

/// Prints a hint that is no part of the answer.
pub fn hint(text: impl AsRef<str>) {
    telemetry::write_line(text.as_ref());
}

/// Prints an error and all that is behind it.
pub fn error(error: &anyhow::Error) {
    telemetry::write_line(format_args!("receiptd: {error:#}"));
}

/// Prints a value for programs.
pub fn json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// How far somebody is behind, for people.
pub fn lag(lag: &LagView) -> String {
    let LagView {
        reports,
        events,
        seconds,
        ..
    } = lag;
    let more = if lag.more { "more than " } else { "" };
    let gone = if lag.pruned {
        ", and some are gone"
    } else {
        ""
    };
    format!("{more}{reports} reports, {events} events, {seconds} s{gone}")
}

/// Prints a table for people, or `none`.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return print("none");
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    print(&table.to_string());
}
