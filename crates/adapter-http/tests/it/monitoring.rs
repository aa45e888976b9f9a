//! Health and metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};

async fn send(running: &Running, path: &str) -> Answer {
    Request::get(path).send(running.operator).await
}

#[tokio::test]
async fn health_names_the_part_that_is_down() {
    let (running, store) = on_memory().await;
    send(&running, "/healthz").await.assert("200");
    let ready = send(&running, "/readyz").await;
    ready.assert("200");
    let ready = ready.json();
    assert_eq!(ready["ready"], true);
    let part = json!({"name": "store", "condition": "ready", "detail": null});
    assert_eq!(ready["parts"][0], part);
    store.set_unavailable(true);
    let start = Instant::now();
    let ready = loop {
        let ready = send(&running, "/readyz").await;
        if ready.status == 503 {
            break ready.json();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "still ready");
    };
    assert_eq!(ready["ready"], false);
    assert_eq!(ready["parts"][0]["condition"], "down");
    assert!(ready["parts"][0]["detail"].is_string());
    send(&running, "/healthz").await.assert("200");
}

#[tokio::test]
async fn metrics_count_requests_and_reports() {
    let (running, store) = on_memory().await;
    assert_eq!(running.metric("receiptd_channels").await, Some(0.0));
    let channel = running.add_channel("1", json!({})).await;
    let accepted = "receiptd_requests_total{outcome=\"accepted\"}";
    assert_eq!(running.metric(accepted).await, Some(0.0));
    let report = || channel.report("SM1", "sent");
    for request in [
        channel.unauthenticated("SM1", "sent"),
        report(),
        report(),
        channel.report("SM1", "made-up-1"),
        channel.report("SM1", "made-up-2"),
        channel.report("", "sent"),
        report().basic("webhook", "wrong"),
        report().path("/"),
        report().method("PUT"),
    ] {
        request.send(running.public).await;
    }
    store.set_unavailable(true);
    channel.report("SM1", "read").send(running.public).await;
    store.set_unavailable(false);

    for (name, value) in [
        ("requests_total{outcome=\"accepted\"}", 4.0),
        ("requests_total{outcome=\"challenge\"}", 1.0),
        ("requests_total{outcome=\"refused\"}", 1.0),
        ("requests_total{outcome=\"invalid\"}", 1.0),
        ("requests_total{outcome=\"not_found\"}", 1.0),
        ("requests_total{outcome=\"method_not_allowed\"}", 1.0),
        ("requests_total{outcome=\"unavailable\"}", 1.0),
        ("requests_total{outcome=\"timeout\"}", 0.0),
        (&twilio_reports("sent", "advanced"), 1.0),
        (&twilio_reports("sent", "duplicate"), 1.0),
        (&twilio_reports("unknown", "unknown_status"), 2.0),
        ("rejections_total{reason=\"invalid_report\"}", 1.0),
        ("commit_failures_total", 1.0),
        ("journaled_reports_total", 0.0),
        ("channels", 1.0),
        ("connections", 0.0),
        ("queue_reports", 0.0),
        ("queue_allowed_reports", 4096.0),
        ("request_duration_seconds_count", 10.0),
        ("request_duration_seconds_bucket{le=\"+Inf\"}", 10.0),
        ("commit_duration_seconds_count", 4.0),
        ("commit_batch_size_bucket{le=\"1.0\"}", 4.0),
        ("commit_batch_size_sum", 4.0),
        ("build_info{version=\"1.2.3\"}", 1.0),
    ] {
        let found = running.metric(&format!("receiptd_{name}")).await;
        assert_eq!(found, Some(value), "{name}");
    }
    let text = running.get("/metrics").await;
    assert!(!text.text().contains("made-up"));
}

fn twilio_reports(status: &str, effect: &str) -> String {
    format!("reports_total{{integrator=\"twilio\",status=\"{status}\",effect=\"{effect}\"}}")
}

/// The samples of a new service without subscriptions: each metric, its labels and how many
/// samples it has.
const SAMPLES: &str = "\
receiptd_build_info{version} 1
receiptd_channels 1
receiptd_commit_batch_size_bucket{le} 11
receiptd_commit_batch_size_count 1
receiptd_commit_batch_size_sum 1
receiptd_commit_duration_seconds_bucket{le} 16
receiptd_commit_duration_seconds_count 1
receiptd_commit_duration_seconds_sum 1
receiptd_commit_failures_total 1
receiptd_connections 1
receiptd_connections_allowed 1
receiptd_drained_reports_total 1
receiptd_forwarded_requests_total{outcome} 6
receiptd_journaled_reports_total 1
receiptd_open_troubles{kind} 12
receiptd_push_duration_seconds_bucket{le} 16
receiptd_push_duration_seconds_count 1
receiptd_push_duration_seconds_sum 1
receiptd_pushes_total{outcome} 3
receiptd_pushing_slowed_seconds_total 1
receiptd_queue_allowed_reports 1
receiptd_queue_reports 1
receiptd_reconciled_messages_total 1
receiptd_reconciliation_failures_total 1
receiptd_recovered_reports_total 1
receiptd_rejections_total{reason} 5
receiptd_reports_total{integrator,status,effect} 234
receiptd_request_duration_seconds_bucket{le} 16
receiptd_request_duration_seconds_count 1
receiptd_request_duration_seconds_sum 1
receiptd_requests_total{outcome} 16
receiptd_subscriptions_stopped_total{reason} 4";

#[tokio::test]
async fn names_labels_and_buckets_of_metrics_are_stable() {
    let (running, _) = on_memory().await;
    let metrics = running.get("/metrics").await;
    let mut samples = BTreeMap::<String, usize>::new();
    let mut bounds = Vec::new();
    for line in metrics.text().lines().filter(|line| !line.starts_with('#')) {
        let (name, _value) = line.rsplit_once(' ').unwrap();
        let sample = match name.split_once('{') {
            None => name.to_owned(),
            Some((name, labels)) => {
                let labels = labels.trim_end_matches('}').split(',');
                let labels: Vec<_> = labels.filter_map(|each| each.split('=').next()).collect();
                format!("{name}{{{}}}", labels.join(","))
            }
        };
        if let Some(bound) = name.strip_prefix("receiptd_request_duration_seconds_bucket{le=") {
            bounds.push(bound.trim_matches(['"', '}']).to_owned());
        }
        *samples.entry(sample).or_default() += 1;
    }
    let lines = samples
        .iter()
        .map(|(name, count)| format!("{name} {count}"));
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), SAMPLES);
    let expected = [
        "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
        "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf",
    ];
    assert_eq!(bounds, expected);
}

#[tokio::test]
async fn metrics_are_openmetrics_on_request_and_classic_text_otherwise() {
    let (running, _) = on_memory().await;
    let classic = running.get("/metrics").await;
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(classic.header("content-type"), Some(media_type));
    let classic = classic.text();
    assert!(classic.contains("# TYPE receiptd_requests_total counter\n"));
    assert!(classic.contains("# TYPE receiptd_build_info gauge\n"));
    assert!(!classic.contains("# EOF"));

    let request = Request::get("/metrics").header("Accept", "application/openmetrics-text");
    let open = running.operator(request).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(media_type));
    let open = open.text();
    assert!(open.contains("# TYPE receiptd_requests counter\n"));
    assert!(open.ends_with("# EOF\n"));
    let samples = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut samples: Vec<_> = lines.map(str::to_owned).collect();
        // Samples of one metric are in no particular order.
        samples.sort_unstable();
        samples
    };
    assert_eq!(samples(classic), samples(open));
}

#[tokio::test]
async fn metrics_show_the_state_and_lag_of_each_subscription() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let subscription = running.add_subscription(json!({"after": "oldest"})).await;
    let id = &subscription.id;
    let report = channel.report("SM1", "sent");
    report.send(running.public).await.assert("204");
    running.clock.advance(Duration::from_secs(70));
    let state = |state| format!("subscription_state{{subscription=\"{id}\",state=\"{state}\"}}");
    let gauge = |name| format!("subscription_{name}{{subscription=\"{id}\"}}");
    let stopped = |reason| format!("subscriptions_stopped_total{{reason=\"{reason}\"}}");
    for (name, value) in [
        (state("active"), 1.0),
        (state("failing"), 0.0),
        (state("paused"), 0.0),
        (state("paused_failing"), 0.0),
        (state("paused_pruned"), 0.0),
        (state("ended"), 0.0),
        (gauge("open_deliveries"), 0.0),
        (gauge("dead_deliveries"), 0.0),
        (gauge("lag_reports"), 1.0),
        (gauge("lag_seconds"), 70.0),
        (stopped("failing"), 0.0),
        (stopped("unreadable_secret"), 0.0),
    ] {
        let found = running.metric(&format!("receiptd_{name}")).await;
        assert_eq!(found, Some(value), "{name}");
    }
}
