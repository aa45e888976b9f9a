//! The settings: flags and environment variables, checked and explained.
//!
//! This is the only place that knows the names of variables. An error names
//! the setting, the value if it is no secret, and what would be right.

mod database;
mod secrets;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Arg, Args, Command, ValueEnum};
use domain::secret::ServerSecret;
use domain::{PublicUrl, RetentionDays};
use usecases::delivery::DeliverySettings;
use usecases::ingest::queue::IngestSettings;
use usecases::retention::prune::KeepFor;

use crate::open_files;

pub use database::DatabaseUrl;
pub use secrets::AdminToken;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object a line
    Json,
}

/// The settings that people know; their comments are the help text.
#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Where reports are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    /// [default: sqlite:<data dir>/receiptd.db]
    #[arg(
        long,
        env = "RECEIPTD_DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<String>,
    /// Where the public listener listens: the webhook and nothing else
    #[arg(long, env = "RECEIPTD_PUBLIC_LISTEN", default_value = "127.0.0.1:8080", global = true, value_parser = listen_address)]
    pub public_listen: SocketAddr,
    /// Where the operator's listener listens: API, metrics, health
    #[arg(long, env = "RECEIPTD_ADMIN_LISTEN", default_value = "127.0.0.1:8081", global = true, value_parser = listen_address)]
    pub admin_listen: SocketAddr,
    /// Host names under which the operator's listener answers, separated by commas, besides IP
    /// addresses and localhost
    #[arg(long, env = "RECEIPTD_ADMIN_HOSTS", global = true, value_delimiter = ',', value_parser = host_name)]
    pub admin_hosts: Vec<String>,
    /// Where generated secrets and the embedded database are kept
    #[arg(long, env = "RECEIPTD_DATA_DIR", default_value = "data", global = true)]
    pub data_dir: PathBuf,
    /// The secret under which credentials are hashed and tokens sealed, at least 32 characters.
    /// Made on first start on SQLite, required on PostgreSQL
    #[arg(
        long,
        env = "RECEIPTD_SECRET_KEY",
        hide_env_values = true,
        global = true
    )]
    pub secret_key: Option<String>,
    /// The bearer token of the operator's API, at least 16 characters. Made on first start
    #[arg(
        long,
        env = "RECEIPTD_ADMIN_TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub admin_token: Option<String>,
    /// Where the internet reaches the public listener, like https://reports.example.com
    /// [default: the public listener's own address]
    // Not global: `channel add` has a flag of this name for the channel alone. See `ServerSettings`.
    #[arg(long, env = "RECEIPTD_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Which log lines are written, like info or debug,sqlx=warn
    #[arg(long, env = "RECEIPTD_LOG", default_value = "info", global = true)]
    pub log: String,
    /// How log lines are written
    #[arg(
        long,
        env = "RECEIPTD_LOG_FORMAT",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    #[command(flatten)]
    pub push: DeliveryOptions,
    #[command(flatten)]
    pub keep: Keep,
    #[command(flatten)]
    pub limits: Limits,
}

/// Settings whose flags may stand after the command too, where it has no flag of the same name
/// for something else.
#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Settings")]
pub struct ServerSettings {
    /// Where the internet reaches the public listener, like https://reports.example.com
    /// [env: RECEIPTD_PUBLIC_URL] [default: the public listener's own address]
    #[arg(long, id = "server_public_url", value_name = "PUBLIC_URL")]
    public_url: Option<String>,
    /// For how many days messages and their state are kept after their last report, where a
    /// channel has no time of its own [env: RECEIPTD_KEEP_MESSAGES_DAYS] [default: 400]
    #[arg(
        long,
        id = "server_keep_messages_days",
        value_name = "MESSAGES",
        hide_short_help = true
    )]
    keep_messages_days: Option<RetentionDays>,
}

/// How long things are kept.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Retention")]
pub struct Keep {
    /// For how many days reports are kept, and with them the events that can be read again
    #[arg(long = "keep-reports-days", env = "RECEIPTD_KEEP_REPORTS_DAYS", default_value_t = 90,
          global = true, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub reports: u32,
    /// For how many days messages and their state are kept after their last report, where a
    /// channel has no time of its own
    // Not global: `channel add` has a flag of this name for the channel alone. See `ServerSettings`.
    #[arg(
        long = "keep-messages-days",
        env = "RECEIPTD_KEEP_MESSAGES_DAYS",
        default_value = "400",
        hide_short_help = true
    )]
    pub messages: RetentionDays,
    /// For how many days it is kept what became of events at subscriptions
    #[arg(long = "keep-deliveries-days", env = "RECEIPTD_KEEP_DELIVERIES_DAYS", default_value_t = 14,
          global = true, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub deliveries: u32,
}

/// How events are pushed to subscribers.
#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Pushing events")]
pub struct DeliveryOptions {
    /// Push events to private, loopback and link-local addresses too
    #[arg(long = "push-private-targets", env = "RECEIPTD_PUSH_PRIVATE_TARGETS", global = true,
          value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1,
          default_value = "false", default_missing_value = "true", hide_short_help = true)]
    pub private_targets: bool,
    /// Certificates in PEM to trust besides the system's, when pushing to https:// targets
    #[arg(
        long = "push-ca-file",
        env = "RECEIPTD_PUSH_CA_FILE",
        value_name = "FILE",
        global = true,
        hide_short_help = true
    )]
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy that events are pushed through, like http://proxy.example.com:3128. It has
    /// to refuse private networks itself
    #[arg(
        long = "push-proxy",
        env = "RECEIPTD_PUSH_PROXY",
        value_name = "URL",
        hide_env_values = true,
        global = true,
        hide_short_help = true
    )]
    pub proxy: Option<String>,
    /// How many events of all subscriptions together are under way at a time. Fewer where few
    /// files may be open
    #[arg(long = "push-attempts", env = "RECEIPTD_PUSH_ATTEMPTS", default_value_t = 512, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub attempts: u32,
    /// How many events of one subscription are under way at a time
    #[arg(long = "push-window", env = "RECEIPTD_PUSH_WINDOW", default_value_t = 64, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub window: u32,
    /// After how many seconds another worker takes over from one that has died
    #[arg(long = "push-lease-seconds", env = "RECEIPTD_PUSH_LEASE_SECONDS", default_value_t = 30,
          global = true, hide_short_help = true, value_parser = clap::value_parser!(u32).range(2..=600))]
    pub lease_seconds: u32,
    /// How many open deliveries a subscription may have before nothing more is read for it
    #[arg(long = "push-open-max", env = "RECEIPTD_PUSH_OPEN_MAX", default_value_t = 50_000,
          global = true, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub open_max: u32,
    /// Where `receiptd worker` listens: metrics and health [default: nowhere]
    #[arg(
        long = "worker-listen",
        env = "RECEIPTD_WORKER_LISTEN",
        value_name = "ADDRESS",
        global = true,
        hide_short_help = true,
        value_parser = listen_address
    )]
    pub worker_listen: Option<SocketAddr>,
    /// After how many hours without success a subscription is paused
    #[arg(long = "push-pause-after", env = "RECEIPTD_PUSH_PAUSE_AFTER_HOURS", default_value_t = 24,
          global = true, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=8760))]
    pub pause_after_hours: u32,
}

/// Limits that suit most.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// How many reports may wait for the database; beyond that the answer is 503
    #[arg(long, env = "RECEIPTD_QUEUE", default_value_t = 4096, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub queue: u32,
    /// How many reports are recorded in one step at most
    #[arg(long, env = "RECEIPTD_BATCH", default_value_t = 256, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,
    /// How many batches may be on their way to the database at a time
    #[arg(long, env = "RECEIPTD_WRITERS", default_value_t = 1, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=16))]
    pub writers: u32,
    /// How many seconds recording a batch may take
    #[arg(long, env = "RECEIPTD_COMMIT_DEADLINE", default_value_t = 5, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub commit_deadline: u32,
    /// How many MiB of reports the journal keeps while the database cannot record
    #[arg(long, env = "RECEIPTD_JOURNAL_MIB", default_value_t = 1024, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub journal_mib: u32,
    /// How many connections to PostgreSQL are opened at most
    #[arg(long, env = "RECEIPTD_DATABASE_CONNECTIONS", default_value_t = 10, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_connections: u32,
    /// How many connections the public listener holds at a time
    #[arg(long, env = "RECEIPTD_MAX_CONNECTIONS", default_value_t = 8192, global = true,
          hide_short_help = true, value_parser = clap::value_parser!(u32).range(16..))]
    pub max_connections: u32,
    /// How many KiB the head of a request has at most; the answer to a longer one is 431
    #[arg(long, env = "RECEIPTD_MAX_HEAD_KIB", default_value_t = 16, global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(4..=100))]
    pub max_head_kib: u32,
    /// How many threads serve the public listener [default: one for each processor]
    #[arg(long, env = "RECEIPTD_HTTP_THREADS", global = true, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub http_threads: Option<u32>,
}

impl Settings {
    /// Where reports are kept.
    pub fn database(&self) -> Result<DatabaseUrl> {
        match &self.database_url {
            Some(text) => DatabaseUrl::parse(text),
            None => Ok(DatabaseUrl::embedded_in(&self.data_dir)),
        }
    }

    /// The same settings with those given after the command.
    pub fn with(mut self, later: &ServerSettings) -> Self {
        if let Some(url) = &later.public_url {
            self.public_url = Some(url.clone());
        }
        if let Some(days) = later.keep_messages_days {
            self.keep.messages = days;
        }
        self
    }

    /// The token of the operator's API, made and kept in the data folder if need be.
    pub fn admin_token(&self) -> Result<AdminToken> {
        secrets::admin_token(self)
    }

    /// Checks the secrets that are there and makes none. Returns the one that hashes credentials,
    /// if it is there already, and warnings.
    pub fn inspect_secrets(&self) -> Result<(Option<ServerSecret>, Vec<String>)> {
        secrets::inspect(self)
    }

    /// The secret that hashes credentials and seals tokens, made and kept in the data folder if
    /// need be.
    pub fn server_secret(&self) -> Result<ServerSecret> {
        secrets::server_secret(self)
    }

    /// Where the internet reaches the public listener.
    pub fn public_url(&self) -> Result<PublicUrl> {
        self.public_url_at(self.public_listen)
    }

    /// The same, when the listener's real address is known.
    pub fn public_url_at(&self, listening: SocketAddr) -> Result<PublicUrl> {
        let text = match &self.public_url {
            Some(text) => text.trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(listening)),
        };
        PublicUrl::parse(&text).with_context(|| format!("RECEIPTD_PUBLIC_URL is {text:?}"))
    }

    /// Where a program on this machine reaches the operator's listener.
    pub fn admin_url(&self) -> String {
        format!("http://{}", reachable(self.admin_listen))
    }

    /// The data folder, made if it is not there.
    pub fn make_data_dir(&self) -> Result<&Path> {
        make_private_dir(&self.data_dir).with_context(|| {
            format!(
                "RECEIPTD_DATA_DIR {} cannot be made",
                self.data_dir.display()
            )
        })?;
        Ok(&self.data_dir)
    }

    /// How many bytes the journal takes at most.
    pub fn journal_capacity(&self) -> u64 {
        u64::from(self.limits.journal_mib).saturating_mul(1024 * 1024)
    }

    /// How long things are kept.
    pub fn keep_for(&self) -> KeepFor {
        let days = |days: u32| Duration::from_hours(u64::from(days) * 24);
        KeepFor {
            reports: days(self.keep.reports),
            messages: self.keep.messages,
            deliveries: days(self.keep.deliveries),
        }
    }

    /// Sizes and times of event delivery.
    pub fn push(&self) -> DeliverySettings {
        let attempts = self.push_attempts(open_files::limit());
        DeliverySettings {
            max_in_flight_total: usize::try_from(attempts).unwrap_or(usize::MAX),
            max_in_flight: usize::try_from(self.push.window).unwrap_or(usize::MAX),
            max_pending: usize::try_from(self.push.open_max).unwrap_or(usize::MAX),
            lease: Duration::from_secs(self.push.lease_seconds.into()),
            pause_after: Duration::from_hours(self.push.pause_after_hours.into()),
            ..DeliverySettings::default()
        }
    }

    /// How many bytes the head of a request has at most.
    pub fn max_head(&self) -> usize {
        let kib = usize::try_from(self.limits.max_head_kib).unwrap_or(usize::MAX);
        kib.saturating_mul(1024)
    }

    /// How many connections the public listener holds, where so many files may be open.
    pub fn connections(&self, open_files: Option<u64>) -> u32 {
        let Limits {
            max_connections,
            database_connections,
            ..
        } = self.limits;
        let others = u64::from(database_connections)
            .saturating_add(open_files::of_attempts(self.push_attempts(open_files)));
        open_files::connections(max_connections, others, open_files)
    }

    /// How many events are under way at a time, where so many files may be open.
    pub fn push_attempts(&self, open_files: Option<u64>) -> u32 {
        open_files::attempts(self.push.attempts, open_files)
    }

    /// How the intake is dimensioned.
    pub fn intake(&self) -> IngestSettings {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        IngestSettings {
            queue: size(self.limits.queue),
            batch: size(self.limits.batch),
            writers: size(self.limits.writers),
            deadline: Duration::from_secs(self.limits.commit_deadline.into()),
        }
    }
}

/// Reads an IP address and a port, `localhost:PORT`, or `:PORT` for all addresses of the machine.
/// Other names are refused: what they resolve to may change.
fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let named = text.rsplit_once(':').and_then(|(host, port)| {
        let ip = match host {
            "localhost" => Ipv4Addr::LOCALHOST,
            "" => Ipv4Addr::UNSPECIFIED,
            _ => return None,
        };
        Some(SocketAddr::from((ip, port.parse().ok()?)))
    });
    named.or_else(|| text.parse().ok()).ok_or(
        "an address and a port are expected, like 127.0.0.1:8080, localhost:8080 or :8080 for all \
         addresses",
    )
}

/// What Kubernetes sets in every container beside a service that is called `receiptd`.
const KUBERNETES: [&str; 2] = ["RECEIPTD_SERVICE_", "RECEIPTD_PORT"];

/// Names the variables that begin with `RECEIPTD_` and are no setting: typing errors, mostly.
pub fn unknown_variables() -> Vec<String> {
    let known = with_variables();
    let is_known = |name: &str| known.iter().any(|(_, variable)| variable == name);
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown: Vec<_> = names
        .filter(|name| name.starts_with("RECEIPTD_") && !is_known(name))
        .filter(|name| !KUBERNETES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    unknown.sort_unstable();
    unknown
}

/// Names the variable that an argument has its value from, as the parser displays the argument;
/// `None` if it was given as a flag.
pub fn variable_behind(argument: &str) -> Option<String> {
    let (flag, variable) = with_variables()
        .into_iter()
        .find(|(flag, _)| argument == flag.to_string())?;
    let flag = format!("--{}", flag.get_long()?);
    let given = std::env::args().skip(1).any(|given| {
        let rest = given.strip_prefix(&flag);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    (!given).then_some(variable)
}

/// The settings that have a variable, and its name.
fn with_variables() -> Vec<(Arg, String)> {
    let mut settings = Settings::augment_args(Command::new("settings"));
    // An argument cannot be displayed before.
    settings.build();
    let arguments = settings.get_arguments();
    arguments
        .filter_map(|each| Some((each.clone(), each.get_env()?.to_str()?.to_owned())))
        .collect()
}

fn host_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || !name.bytes().all(fits) {
        return Err("a host name without scheme and port is expected, like receiptd.internal");
    }
    Ok(name.to_owned())
}

/// The address under which this machine reaches a listener of its own.
pub fn reachable(mut listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        listening.set_ip(match listening.ip() {
            std::net::IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    listening
}

/// Makes a folder that only its owner may look into; one that is there stays
/// as it is.
fn make_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_may_be_written_in_the_usual_ways() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        for wrong in ["8080", "localhost", "example.com:8080", ":", ":70000", ""] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }
}
