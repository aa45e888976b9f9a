//! Measures the built program against itself without its parts: what the
//! database alone could take, and what HTTP alone could.
//!
//! It is a tool for developers: it may use everything, and nothing uses it.
//! Start reading at [`suite`], which lists what is measured; [`load`] is the
//! generator, [`receiver`] and [`database`] are what it is pointed at.

pub mod ceiling;
pub mod database;
pub mod direct;
pub mod events;
pub mod growth;
pub mod http;
pub mod latencies;
pub mod load;
pub mod machine;
pub mod measure;
mod moment;
pub mod process;
pub mod ratios;
pub mod receiver;
pub mod row;
pub mod soak;
mod stored;
pub mod suite;
pub mod table;

/// The channel that all load is about.
pub const CHANNEL: &str = "202105102694809992";
/// Its webhook user.
pub const USER: &str = "bench";
/// Its webhook password, as long as a generated one.
pub const PASSWORD: &str = "bench-password-of-43-letters-like-made-ones";
/// A password that is refused.
pub const WRONG_PASSWORD: &str = "guessed, and guessed wrongly, again and again";
/// The path that reports are sent to.
pub const PATH: &str = "/social/on/whatsapp/twilio/report/202105102694809992";
/// The secret that credentials are hashed under.
pub const SECRET_KEY: &str = "a server secret for benchmarks and nothing else";
/// The bearer token of the operator's API.
pub const ADMIN_TOKEN: &str = "an-operators-token-for-benchmarks";
