//! A process that receives nothing.

use super::support::{Engine, RuntimeHandle, Server, client};

#[tokio::test]
async fn a_worker_is_watched_where_it_is_told_to_listen() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let mut command = home.command(&["worker"]);
    command.env("RECEIPTD_WORKER_LISTEN", "127.0.0.1:0");
    let mut worker = Server::start(command);

    let (status, health) = worker.get("/readyz").await;
    assert_eq!((status, &health["ready"]), (200, &true.into()), "{health}");
    for (path, token, wanted) in [
        ("/healthz", false, 200),
        ("/readyz", false, 200),
        ("/metrics", false, 401),
        ("/metrics", true, 200),
        ("/api/v1/channels", true, 404),
        ("/docs/", true, 404),
    ] {
        let mut request = client().get(format!("{}{path}", worker.operator));
        if token {
            request = request.bearer_auth(super::support::ADMIN_TOKEN);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), wanted, "{path}");
        let text = answer.text().await.unwrap();
        let counts = text.contains("receiptd_pushes_total{outcome=\"delivered\"} 0");
        assert_eq!(counts, path == "/metrics" && token, "{path}: {text}");
    }

    worker.signal("TERM");
    assert!(worker.wait(), "{}", worker.log());
}

#[tokio::test]
async fn a_worker_whose_listener_cannot_be_had_does_not_start() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = home.run_with_input(&["worker", "--worker-listen", &address], b"");
    let said = super::support::text(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("RECEIPTD_WORKER_LISTEN"), "{said}");
}
