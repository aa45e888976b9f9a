//! The HTTP client of commands.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Creates a client for HTTP and HTTPS that follows no redirects.
pub fn create(timeout: Duration) -> Result<reqwest::Client> {
    // Fails if it is installed already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot create the HTTP client")
}
