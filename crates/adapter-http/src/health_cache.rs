//! The last result of the health checks, so that any number of probes costs the store one check a
//! second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use usecases::health::ComponentHealth;

/// How long a result is reused.
const VALID_FOR: Duration = Duration::from_secs(1);

/// The last result of the health checks.
#[derive(Default)]
pub(crate) struct HealthCache(Mutex<Option<(Instant, Arc<[ComponentHealth]>)>>);

impl HealthCache {
    /// Returns the last result if it is recent, else that of `check`. Of concurrent callers one
    /// runs the check and the others wait for its result.
    pub(crate) async fn get_or_check(
        &self,
        check: impl Future<Output = Vec<ComponentHealth>>,
    ) -> Arc<[ComponentHealth]> {
        let mut last = self.0.lock().await;
        if let Some((at, parts)) = &*last
            && at.elapsed() < VALID_FOR
        {
            return Arc::clone(parts);
        }
        let parts: Arc<[ComponentHealth]> = check.await.into();
        *last = Some((Instant::now(), Arc::clone(&parts)));
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn concurrent_probes_share_one_check() {
        let (cache, checks) = (HealthCache::default(), Cell::new(0));
        let check = || async {
            checks.set(checks.get() + 1);
            tokio::task::yield_now().await;
            Vec::new()
        };
        let probes = (0..64).map(|_| cache.get_or_check(check()));
        futures_util::future::join_all(probes).await;
        assert_eq!(checks.get(), 1);
    }
}
