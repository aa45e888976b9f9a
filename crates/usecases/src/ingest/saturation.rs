//! How many reports wait.

use std::time::Duration;

use tokio::sync::mpsc;

use super::group_commit::Waiting;

/// After how long it is looked whether too many wait behind a batch. Many may come at once,
/// without the store being slow.
const IS_SLOW: Duration = Duration::from_millis(100);

/// How often that is looked at from then on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How many reports wait in an intake. It does not keep the intake open.
#[derive(Clone)]
pub struct QueueSaturation(mpsc::WeakSender<Waiting>);

impl QueueSaturation {
    pub(super) fn of(queue: &mpsc::Sender<Waiting>) -> Self {
        Self(queue.downgrade())
    }

    /// How many reports wait, and how many may; nothing once nobody hands over any more.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let queue = self.0.upgrade();
        queue.map_or((0, 0), |queue| {
            let most = queue.max_capacity();
            (most - queue.capacity(), most)
        })
    }

    /// Whether so many wait that others would soon be refused.
    fn is_crowded(&self) -> bool {
        let (waiting, most) = self.usage();
        most > 0 && waiting >= most.div_ceil(2)
    }

    /// Ends when so many wait behind a batch that others would soon be refused: where there is
    /// a journal nobody is kept waiting to the deadline then.
    pub(super) async fn crowds(&self) {
        tokio::time::sleep(IS_SLOW).await;
        while !self.is_crowded() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
