//! Probes of URLs for tests without a network.

use std::time::Duration;

use async_trait::async_trait;
use ports::UrlProbe;
use ports::url_probe::{ProbeAnswer, ProbeTarget, ProbedConnection, Timed};

/// The error of [`UnresolvedHost`].
pub const UNRESOLVED: &str = "the name has no address";

/// A probe that finds no address for any host.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnresolvedHost;

fn unresolved<T>() -> Timed<T> {
    Timed {
        result: Err(UNRESOLVED.into()),
        took: Duration::from_millis(3),
    }
}

#[async_trait]
impl UrlProbe for UnresolvedHost {
    async fn connect(&self, _: &ProbeTarget) -> ProbedConnection {
        ProbedConnection {
            lookup: unresolved(),
            connect: None,
            handshake: None,
            certificates: Vec::new(),
        }
    }

    async fn post(
        &self,
        _: &ProbeTarget,
        _: &[(&'static str, String)],
        _: Vec<u8>,
    ) -> Timed<ProbeAnswer> {
        unresolved()
    }
}
