//! Which log lines are written, and in which format.

use clap::{Args, ValueEnum};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

impl LogFormat {
    /// Returns the word of the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// Log filter: a level like info or debug, or levels per component, like debug,sqlx=warn
    #[arg(long, env = "RECEIPTD_LOG", default_value = "info")]
    pub log: String,
    /// Format of log lines: text or json
    #[arg(long, env = "RECEIPTD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}
