//! What people and programs read on standard output and standard error.

#![expect(clippy::print_stderr, reason = "this is the program's voice")]

use std::io::Write as _;

use adapter_http::wire::LagView;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints a text and ends its line. A reader that has gone away, as in
/// `receiptd message list | head`, is no error: nobody wants the rest.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line of an answer that has no end; `false` if the reader has gone
/// away.
pub fn streamed(text: &str) -> bool {
    writeln!(std::io::stdout().lock(), "{text}").is_ok()
}

/// Prints a line for people.
pub fn line(text: impl AsRef<str>) {
    print(text.as_ref());
}

/// Prints a hint that is no part of the answer.
pub fn hint(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Prints an error and all that is behind it.
pub fn error(error: &anyhow::Error) {
    eprintln!("receiptd: {error:#}");
}

/// Prints a value for programs.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
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

/// Prints a table for people.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
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
