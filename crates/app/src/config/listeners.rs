//! The listeners: addresses, host names, limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use domain::access::ConsoleUrl;

use super::number::{range, size};

#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Listeners")]
pub struct ListenerOptions {
    /// Address and port of the public listener, which serves the webhook and nothing else
    #[arg(long, env = "RECEIPTD_PUBLIC_LISTEN", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub public_listen: SocketAddr,
    /// URL at which the internet reaches the public listener, like https://reports.example.com.
    /// Callback URLs and signatures are computed from it. Default: the public listener's address
    #[arg(long, env = "RECEIPTD_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Address and port of the operator's listener: API, metrics, health. Keep it private
    #[arg(long, env = "RECEIPTD_ADMIN_LISTEN", default_value = "127.0.0.1:8081", value_parser = listen_address)]
    pub admin_listen: SocketAddr,
    /// Host names at which the operator's listener answers, separated by commas. IP addresses and
    /// localhost are always accepted. Default: none
    #[arg(long, env = "RECEIPTD_ADMIN_HOSTS", value_delimiter = ',', value_parser = host_name)]
    pub admin_hosts: Vec<String>,
    /// URL at which browsers reach the operator's listener, like https://receiptd.example.com,
    /// without a path. Its host need not be among the host names. Default: the operator's address
    #[arg(long, env = "RECEIPTD_CONSOLE_URL", value_parser = ConsoleUrl::parse)]
    pub console_url: Option<ConsoleUrl>,
    /// Address and port at which `receiptd worker` serves metrics and health. Default: it does
    /// not listen
    #[arg(long, env = "RECEIPTD_WORKER_LISTEN", value_name = "ADDRESS", value_parser = listen_address)]
    pub worker_listen: Option<SocketAddr>,
    /// Maximum number of connections to the public listener, 16 or more. Each needs an open file
    #[arg(long, env = "RECEIPTD_MAX_CONNECTIONS", default_value_t = 8192, value_parser = range(16..=u32::MAX))]
    pub max_connections: u32,
    /// Maximum size in KiB of a request line with its headers, 4 to 100; a longer one is answered
    /// 431
    #[arg(long, env = "RECEIPTD_MAX_HEAD_KIB", default_value_t = 16, value_parser = range(4..=100))]
    pub max_head_kib: u32,
    /// Number of threads of the public listener, 1 to 256. Default: one per processor
    #[arg(long, env = "RECEIPTD_HTTP_THREADS", value_parser = range(1..=256))]
    pub http_threads: Option<u32>,
}

impl ListenerOptions {
    /// Returns the URL at which a program on this machine reaches the operator's listener.
    pub fn admin_url(&self) -> String {
        format!("http://{}", reachable(self.admin_listen))
    }

    /// Returns the host names at which the operator's listener answers: those configured, and
    /// that of the console's URL.
    pub fn operator_hosts(&self) -> impl Iterator<Item = String> {
        let console = self.console_url.as_ref().map(ConsoleUrl::host);
        let names = self.admin_hosts.iter().map(String::as_str).chain(console);
        names.map(str::to_owned)
    }

    /// Returns the maximum size of a request's head in bytes.
    pub fn max_head(&self) -> usize {
        size(self.max_head_kib).saturating_mul(1024)
    }

    /// Returns the number of threads of the public listener, if it is configured.
    pub fn threads(&self) -> Option<usize> {
        self.http_threads.map(size)
    }
}

/// Parses an IP address and a port, `localhost:PORT`, or `:PORT` for all addresses of the machine.
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
        "expected an IP address and a port, like 127.0.0.1:8080, localhost:8080, or :8080 for all \
         addresses",
    )
}

fn host_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || !name.bytes().all(fits) {
        return Err("expected a host name without scheme and port, like receiptd.internal");
    }
    Ok(name.to_owned())
}

/// Returns the address at which this machine reaches its own listener.
pub fn reachable(mut listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        listening.set_ip(match listening.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listening
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_accepted_in_the_usual_spellings() {
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
