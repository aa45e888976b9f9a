//! Dead letters, from the failing endpoint to their delivery.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection as _, SqliteConnection};
use testkit::browser::ChromeDriver;

use super::window::Browser;
use crate::support::{Engine, Installation, Server, until};

/// Starts an endpoint that fails until it is repaired, and returns its URL.
fn endpoint(repaired: Arc<AtomicBool>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request);
            let status = if repaired.load(Ordering::SeqCst) {
                "204 No Content"
            } else {
                "503 Service Unavailable"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

fn serve(home: &Installation) -> Server {
    let mut command = home.command("serve");
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    Server::start(command)
}

async fn deliveries(server: &Server, id: &str, state: &str) -> usize {
    let path = format!("/api/v1/subscriptions/{id}/deliveries?state={state}");
    let (_, list) = server.get(&path).await;
    list["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn dead_letters_are_retried_after_the_endpoint_was_repaired() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let repaired = Arc::new(AtomicBool::new(false));
    let url = endpoint(Arc::clone(&repaired));
    let line = "--push-private-targets=true subscription add";
    let added = home.json(&format!("{line} {url}"));
    let id = added["id"].as_str().unwrap();
    let server = serve(&home);
    assert_eq!(server.report("SM1", "sent").await, 204);
    until("the event has failed", async || {
        deliveries(&server, id, "retrying").await == 1
    })
    .await;
    server.stop();
    // Three days pass.
    let mut store = SqliteConnection::connect(&home.database_url).await.unwrap();
    for past in [
        "update subscriptions set updated_at = updated_at - 400000000000",
        "update deliveries
         set created_at = created_at - 400000000000, retrying_since = null, next_attempt_at = 1",
    ] {
        sqlx::query(past).execute(&mut store).await.unwrap();
    }
    store.close().await.unwrap();
    let server = serve(&home);
    until("it is given up", async || {
        deliveries(&server, id, "dead").await == 1
    })
    .await;

    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "dead", &server).await;
    browser.sign_in().await;
    repaired.store(true, Ordering::SeqCst);
    browser.visit(&format!("/subscriptions/{id}")).await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(page.contains("1 dead letter in all"), "{page}");
    browser.press("Retry 1 dead letter").await;
    let page = browser.text().await;
    assert!(page.contains("attempted again now"), "{page}");
    until("it is delivered", async || {
        deliveries(&server, id, "delivered").await == 1
    })
    .await;
    browser.visit(&format!("/subscriptions/{id}")).await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(!page.contains("dead letter in all"), "{page}");
    browser.close().await;
}
