//! Two programs for developers: `bench` measures the program `receiptd` beside what its database
//! and HTTP can do alone, and `faults` breaks what it depends on and counts what was lost. Nothing
//! depends on this crate.
//!
//! Start reading at [`suite`], which lists what is measured, and at [`faults`].

#![expect(
    unreachable_pub,
    reason = "only the two programs use this crate: whatever its modules share is public"
)]

mod batch_load;
mod ceiling;
mod cli;
mod connection;
mod database;
mod direct;
mod events;
mod faults;
mod growth;
mod growth_pages;
mod http;
mod http_head;
mod installation;
mod latencies;
mod load;
mod machine;
mod measure;
mod measure_events;
mod measure_statistics;
mod process;
mod ratios;
mod receiver;
mod row;
mod sample;
mod stored;
mod suite;
mod table;
mod wait;

use std::net::SocketAddr;

use traffic::integrator::Integrator;
use traffic::request::{RequestHead, callback_path};

pub use cli::main as bench;
pub use faults::main as faults;

/// Returns the head of Twilio's reports with this password, or without credentials.
fn report_head(host: SocketAddr, password: Option<&str>) -> RequestHead {
    head_of(Integrator::Twilio, host, password)
}

/// Returns the head of an integrator's reports with this password, or without credentials.
fn head_of(integrator: Integrator, host: SocketAddr, password: Option<&str>) -> RequestHead {
    RequestHead {
        host,
        integrator,
        path: callback_path(integrator, CHANNEL),
        credentials: password.map(|password| integrator.credentials(USER, password, "")),
    }
}

/// The channel of all load.
const CHANNEL: &str = "202105102694809992";
const USER: &str = "bench";
/// As long as a generated password.
const PASSWORD: &str = "bench-password-of-43-letters-like-made-ones";
const WRONG_PASSWORD: &str = "guessed, and guessed wrongly, again and again";
/// The path of the callback URL of Twilio's channel.
const PATH: &str = "/social/on/whatsapp/twilio/report/202105102694809992";
const SECRET_KEY: &str = "a server secret for benchmarks and nothing else";
const ADMIN_TOKEN: &str = "an-operators-token-for-benchmarks";
