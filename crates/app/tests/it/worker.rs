//! A process that delivers events and receives no reports.

use super::support::{ADMIN_TOKEN, Engine, Installation, Server, client};

#[tokio::test]
async fn worker_serves_metrics_and_health_on_its_listener() {
    let home = Installation::new(Engine::Sqlite).await;
    let mut command = home.command("worker");
    command.env("RECEIPTD_WORKER_LISTEN", "127.0.0.1:0");
    let worker = Server::start(command);

    let (status, health) = worker.get("/readyz").await;
    assert_eq!((status, &health["ready"]), (200, &true.into()), "{health}");
    for (path, token, expected) in [
        ("/healthz", false, 200),
        ("/readyz", false, 200),
        ("/metrics", false, 401),
        ("/metrics", true, 200),
        ("/api/v1/channels", true, 404),
        ("/docs/", true, 404),
    ] {
        let mut request = client().get(format!("{}{path}", worker.operator));
        if token {
            request = request.bearer_auth(ADMIN_TOKEN);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        let text = answer.text().await.unwrap();
        let counts = text.contains("receiptd_pushes_total{outcome=\"delivered\"} 0");
        assert_eq!(counts, path == "/metrics" && token, "{path}: {text}");
    }
    worker.stop();
}

#[tokio::test]
async fn worker_does_not_start_if_its_listener_cannot_be_opened() {
    let home = Installation::new(Engine::Sqlite).await;
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let line = format!("worker --worker-listen {address}");
    home.fails(&line, 1, "RECEIPTD_WORKER_LISTEN");
}
