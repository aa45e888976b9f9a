//! Wires the use cases of trouble.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use domain::PublicUrl;
use domain::crypto::ServerSecret;
use domain::trouble::Trouble;
use ports::{Environment as _, Store, WebhookSender};
use usecases::trouble::{
    CertificateSource, DeliverOperatorEvents, Evaluated, EvaluationDependencies,
    OperatorEventDependencies,
};
use usecases::{EvaluateTroubles, ManageTroubles};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::system::{self, System};
use crate::webhook_sender;

/// How often operator events are sent.
const SEND_INTERVAL: Duration = Duration::from_secs(2);

/// How often expired troubles and events are removed.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// How long resolved troubles and operator events are kept: 30 days.
const KEPT_MICROS: i64 = 30 * 86_400 * 1_000_000;

/// How much is removed at a time.
const PRUNED_AT_ONCE: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

/// Returns the use case that lists, snoozes and configures troubles.
pub fn manage(store: &Arc<dyn Store>) -> ManageTroubles {
    ManageTroubles::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(System),
    )
}

/// Returns the tasks that evaluate the rules, send operator events and remove old ones.
pub fn tasks(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
    sender: &Arc<dyn WebhookSender>,
    public_url: &PublicUrl,
) -> Result<Vec<BackgroundTask>> {
    Ok(vec![
        evaluating(store, settings, public_url)?,
        sending(store, settings, secret, sender),
        pruning(store),
    ])
}

fn evaluating(
    store: &Arc<dyn Store>,
    settings: &Settings,
    public_url: &PublicUrl,
) -> Result<BackgroundTask> {
    let interval = settings.trouble.interval();
    let evaluate = Arc::new(EvaluateTroubles::new(EvaluationDependencies {
        troubles: Arc::clone(store) as _,
        channels: Arc::clone(store) as _,
        statistics: Arc::clone(store) as _,
        log: Arc::clone(store) as _,
        subscriptions: Arc::clone(store) as _,
        reconciliation: Arc::clone(store) as _,
        forwarding: Arc::clone(store) as _,
        certificates: CertificateSource {
            probe: Arc::new(webhook_sender::create_probe(settings)?),
            public_url: public_url.clone(),
            private_targets: settings.delivery.private_targets,
        },
        calendar: Arc::new(settings.statistics.time_zone.clone()),
        environment: Arc::new(System),
        holder: system::worker_name(),
        interval,
    }));
    let task = BackgroundTask::new("evaluate rules", interval, move || {
        let evaluate = Arc::clone(&evaluate);
        async move {
            let Evaluated::Done { moved } = evaluate.run().await? else {
                return Ok(());
            };
            for trouble in moved {
                report(&trouble);
            }
            Ok(())
        }
    });
    Ok(task)
}

fn report(trouble: &Trouble) {
    let (id, kind, about) = (trouble.id, trouble.key.kind, &trouble.key.subject);
    let (title, seen) = (kind.title(), &trouble.finding.seen);
    if trouble.state.is_open() {
        tracing::warn!(
            event = "trouble_opened",
            trouble = %id, %kind, %about,
            "trouble opened: {title}: {seen}"
        );
    } else {
        tracing::info!(
            event = "trouble_resolved",
            trouble = %id, %kind, %about,
            "trouble resolved: {title}"
        );
    }
}

fn sending(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
    sender: &Arc<dyn WebhookSender>,
) -> BackgroundTask {
    let deliver = Arc::new(DeliverOperatorEvents::new(OperatorEventDependencies {
        troubles: Arc::clone(store) as _,
        events: Arc::clone(store) as _,
        subscriptions: Arc::clone(store) as _,
        sender: Arc::clone(sender),
        secret: secret.clone(),
        environment: Arc::new(System),
        holder: system::worker_name(),
        lease: usecases::trouble::lease_time(settings.trouble.interval()),
    }));
    BackgroundTask::new("send operator events", SEND_INTERVAL, move || {
        let deliver = Arc::clone(&deliver);
        async move { Ok(deliver.run().await?) }
    })
}

fn pruning(store: &Arc<dyn Store>) -> BackgroundTask {
    let store = Arc::clone(store);
    BackgroundTask::new("prune troubles", PRUNE_INTERVAL, move || {
        let store = Arc::clone(&store);
        async move {
            let before = System.now().plus_micros(-KEPT_MICROS);
            while store.prune_troubles(before, PRUNED_AT_ONCE).await? > 0 {
                // Between two steps others have their turn.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
    })
}
