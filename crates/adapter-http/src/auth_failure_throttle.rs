//! Slows down password guessing.

use std::time::Duration;

use tokio::sync::Semaphore;

/// Delays the answers to wrong credentials and bounds their rate: each answer waits for one of a
/// few permits and keeps it for the delay. Requests with valid credentials never wait here.
pub(crate) struct AuthFailureThrottle {
    permits: Semaphore,
    delay: Duration,
}

impl AuthFailureThrottle {
    /// Allows at most `concurrent` answers within each `delay`.
    pub(crate) const fn new(concurrent: usize, delay: Duration) -> Self {
        Self {
            permits: Semaphore::const_new(concurrent),
            delay,
        }
    }

    /// Returns when a request with wrong credentials may be answered.
    pub(crate) async fn wait(&self) {
        // The semaphore is never closed; if it were, the delay alone would do.
        let _permit = self.permits.acquire().await;
        tokio::time::sleep(self.delay).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn wrong_credentials_are_answered_a_few_at_a_time() {
        let throttle = AuthFailureThrottle::new(2, Duration::from_millis(100));
        let start = Instant::now();
        let waits = (0..6).map(|_| throttle.wait());
        futures_util::future::join_all(waits).await;
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
}
