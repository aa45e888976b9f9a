//! Stores, used from a thread with a runtime of its own.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::RuntimeHandle;
use async_trait::async_trait;
use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::SubscriptionState;
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::event_log::{LogRead, Remaining};
use ports::subscriptions::{Lease, LeasedSubscription, Progress, Renewal};
use ports::{DeliveryQueue, EventLog, StoreError};

/// A store whose connections stay with the runtime in which it lives, whoever
/// opens them. One that is opened elsewhere would wait for that thread whenever
/// something arrives on it, also when it has come to serve the intake.
pub struct AtHome<T: ?Sized> {
    store: Arc<T>,
    home: RuntimeHandle,
}

impl<T: ?Sized> AtHome<T> {
    pub const fn new(store: Arc<T>, home: RuntimeHandle) -> Self {
        Self { store, home }
    }
}

#[async_trait]
impl EventLog for AtHome<dyn EventLog> {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        self.home.run(self.store.read(after, limit)).await
    }

    async fn head(&self) -> Result<LogPosition, StoreError> {
        self.home.run(self.store.head()).await
    }

    async fn position_at(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        self.home.run(self.store.position_at(moment)).await
    }

    async fn behind(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        self.home.run(self.store.behind(position, at_most)).await
    }
}

#[async_trait]
impl DeliveryQueue for AtHome<dyn DeliveryQueue> {
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError> {
        self.home.run(self.store.claim(worker, lease)).await
    }

    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let more = self.store.more_pending(subscription, after);
        self.home.run(more).await
    }

    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        self.home.run(self.store.pending_delivery(key)).await
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        self.home.run(self.store.renew(lease, duration)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.home.run(self.store.release(lease)).await
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        self.home.run(self.store.leave(worker)).await
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        self.home.run(self.store.record(lease, progress)).await
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        self.home.run(self.store.finish(lease, state)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::runtime::{Builder, Handle, Id, Runtime};

    use super::*;

    /// Remembers in which runtime it was used.
    #[derive(Default)]
    struct Log(Mutex<Vec<Id>>);

    #[async_trait]
    impl EventLog for Log {
        async fn read(&self, _: Option<LogPosition>, _: NonZeroU16) -> Result<LogRead, StoreError> {
            Ok(LogRead::Pruned {
                oldest: self.head().await?,
            })
        }

        async fn head(&self) -> Result<LogPosition, StoreError> {
            // Woken again, it is polled anew.
            tokio::task::yield_now().await;
            self.0.lock().unwrap().push(Handle::current().id());
            Ok(LogPosition::START)
        }

        async fn position_at(&self, _: Timestamp) -> Result<LogPosition, StoreError> {
            self.head().await
        }

        async fn behind(&self, _: LogPosition, _: NonZeroU16) -> Result<Remaining, StoreError> {
            self.head().await?;
            Ok(Remaining {
                reports: 0,
                since: None,
                pruned: false,
            })
        }
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_store_works_in_its_own_runtime_wherever_it_is_asked() {
        let (home, away) = (runtime(), runtime());
        let log = Arc::new(Log::default());
        let store: Arc<dyn EventLog> = log.clone();
        let here = home.block_on(async { RuntimeHandle::here().unwrap() });
        let at_home = AtHome::new(store, here);
        away.block_on(async {
            at_home.read(None, NonZeroU16::MIN).await.unwrap();
            at_home.head().await.unwrap();
            at_home.position_at(Timestamp::EPOCH).await.unwrap();
            let behind = at_home.behind(LogPosition::START, NonZeroU16::MIN);
            behind.await.unwrap();
        });
        assert_eq!(*log.0.lock().unwrap(), [home.handle().id(); 4]);
        assert_ne!(home.handle().id(), away.handle().id());
    }
}
