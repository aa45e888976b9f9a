//! Tests of the built program on both engines: real HTTP, the command line, restarts, signals.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]
#![expect(
    unreachable_pub,
    reason = "the tests of the listeners share some of these files"
)]

mod access;
#[path = "../../../adapter-http/tests/it/answers.rs"]
mod answers;
mod browser;
mod cli;
#[path = "../../../adapter-http/tests/it/client.rs"]
#[expect(dead_code, reason = "the tests of the listeners use more of it")]
mod client;
mod console;
mod demo;
mod embedded;
mod erase;
mod events;
mod forwarding;
mod operator;
mod output;
mod reconcile;
mod restarts;
mod retention;
#[path = "../../../adapter-http/tests/it/service.rs"]
#[expect(dead_code, reason = "the tests of the listeners use more of it")]
mod service;
mod settings;
mod simulate;
mod starting;
mod support;
mod tables;
mod test_calls;
mod trouble;
mod worker;
