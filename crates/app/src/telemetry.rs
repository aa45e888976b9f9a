//! Where log lines go: to standard error, since standard output is for answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts writing log lines. A filter that cannot be read is said so and
/// replaced by `info`: a typing error must not stop a receiver.
pub fn start(filter: &str, format: LogFormat) {
    // The HTTP server's own account of its threads, and of every malformed request that the
    // internet sends, is no news to operators.
    let (filter, error) =
        match EnvFilter::try_new(format!("actix_server=warn,actix_http=off,{filter}")) {
            Ok(filter) => (filter, None),
            Err(error) => (
                EnvFilter::new("actix_server=warn,actix_http=off,info"),
                Some(error),
            ),
        };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    if let Some(error) = error {
        tracing::warn!(%error, "RECEIPTD_LOG is no log filter; writing lines from info on");
    }
}
