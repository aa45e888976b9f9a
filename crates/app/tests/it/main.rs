//! The built program, as people and integrators meet it: real HTTP, the command
//! line, restarts and signals, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]
#![expect(
    unreachable_pub,
    reason = "the tests of the listeners share some of these files"
)]

#[path = "../../../adapter-http/tests/it/answers.rs"]
mod answers;
mod cli;
#[path = "../../../adapter-http/tests/it/client.rs"]
#[expect(dead_code, reason = "the tests of the listeners use more of it")]
mod client;
mod embedded;
mod erase;
mod feed;
mod life;
mod operator;
mod output;
mod retention;
#[path = "../../../adapter-http/tests/it/service.rs"]
#[expect(dead_code, reason = "the tests of the listeners use more of it")]
mod service;
mod settings;
mod starting;
mod support;
mod worker;
