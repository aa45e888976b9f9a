//! Delivers, replays and prints events.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::Value;

use super::support::{ADMIN_TOKEN, CHANNEL, Engine, Installation, Server, client, run, until};

/// A subscriber that accepts and records every event.
#[derive(Clone, Default)]
struct Subscriber {
    /// Revisions by message, in the order in which they arrived.
    accepted: Arc<Mutex<BTreeMap<String, Vec<i64>>>>,
}

impl Subscriber {
    /// Listens until the test process ends, and returns the URL.
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let subscriber = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let subscriber = subscriber.clone();
                std::thread::spawn(move || subscriber.serve(connection));
            }
        });
        format!("http://{address}/hook")
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut answers = connection.try_clone().ok()?;
        let mut requests = BufReader::new(connection);
        loop {
            let mut length = 0;
            let mut line = String::new();
            while requests.read_line(&mut line).ok()? > 2 {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                line.clear();
            }
            if line.is_empty() {
                return None;
            }
            let mut body = vec![0; length];
            requests.read_exact(&mut body).ok()?;
            let event: Value = serde_json::from_slice(&body).ok()?;
            let sid = event["subject"].as_str()?.to_owned();
            let revision = event["data"]["revision"].as_i64()?;
            let mut accepted = self.accepted.lock().unwrap();
            accepted.entry(sid).or_default().push(revision);
            drop(accepted);
            answers.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
        }
    }

    /// Returns whether every message had all revisions up to this one. Fails if a revision arrived
    /// before an earlier one; some may have arrived more than once.
    fn has_all(&self, messages: usize, revisions: i64) -> bool {
        let accepted = self.accepted.lock().unwrap();
        for (sid, revisions) in accepted.iter() {
            let mut newest = 0;
            for revision in revisions {
                assert!(*revision <= newest + 1, "{sid}: {revisions:?}");
                newest = newest.max(*revision);
            }
        }
        let mut newest = accepted.values().map(|each| each.iter().max());
        accepted.len() == messages && newest.all(|newest| newest == Some(&revisions))
    }
}

fn serve(home: &Installation) -> Server {
    serve_in(home, "data")
}

/// Starts a server with its own data folder; several may share a database.
fn serve_in(home: &Installation, folder: &str) -> Server {
    let mut command = home.command("serve");
    command
        .env("RECEIPTD_DATA_DIR", home.folder.path().join(folder))
        .env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true")
        .env("RECEIPTD_PUSH_LEASE_SECONDS", "2");
    Server::start(command)
}

/// Adds a subscription to all events from now on, and returns its id.
fn subscribe(home: &Installation, url: &str) -> String {
    let mut command = home.command(&format!("subscription add {url} --json"));
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let output = run(command, b"");
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    added["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[tokio::test]
async fn events_are_delivered_although_servers_are_killed(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let subscriber = Subscriber::default();
    let mut server = serve(&home);
    let id = &*subscribe(&home, &subscriber.listen());

    for round in 0..3 {
        for message in 0..5 {
            for status in ["sent", "delivered", "read"] {
                let sid = format!("SM{round}{message:031x}");
                assert_eq!(server.report(&sid, status).await, 204);
            }
        }
        server.signal("KILL");
        drop(server);
        server = serve(&home);
    }
    until("every event has arrived, in order", async || {
        subscriber.has_all(15, 3)
    })
    .await;
    until("the progress is saved", async || {
        let path = format!("/api/v1/subscriptions/{id}");
        let (_, status) = server.get(&path).await;
        status["lag"]["reports"] == 0 && status["open"] == 0
    })
    .await;
    let deliveries = home.json(&format!("subscription deliveries {id} --state delivered"));
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 45);
    assert_eq!(deliveries["items"][0]["state"], "delivered");
    let first = deliveries["items"][0]["id"].as_str().unwrap();
    let shown = home.run(&format!("delivery show {first}"));
    let mut lines = shown.lines().map(str::split_whitespace);
    assert!(lines.any(|words| words.eq(["attempts", "1"])), "{shown}");

    let (_, status) = server.get(&format!("/api/v1/subscriptions/{id}")).await;
    assert_eq!(status["rates"]["hour"]["delivered"], 45);
    let shown = home.run(&format!("subscription show {id}"));
    for expected in [
        "0 reports, 0 events, 0 s",
        "in the last hour 45 delivered, 0 failed",
    ] {
        assert!(shown.contains(expected), "{shown}");
    }

    let sid = format!("SM0{:031x}", 0);
    for command in ["subscription replay", "event replay"] {
        subscriber.accepted.lock().unwrap().clear();
        home.run(&format!("{command} {id} --message {CHANNEL} {sid}"));
        until("its events arrive again", async || subscriber.has_all(1, 3)).await;
    }
    events_are_read_and_replayed_from_a_cursor(&home, &server, &subscriber, id).await;

    let listed = home.run("event list --type message.read");
    assert_eq!(listed.lines().count(), 15, "{listed}");
    assert!(listed.contains("delivered -> read"), "{listed}");
}

async fn events_are_read_and_replayed_from_a_cursor(
    home: &Installation,
    server: &Server,
    subscriber: &Subscriber,
    id: &str,
) {
    let (_, page) = server.get("/api/v1/events?limit=40").await;
    let put = client()
        .put(format!("{}/api/v1/cursors/here", server.operator))
        .bearer_auth(ADMIN_TOKEN)
        .json(&serde_json::json!({ "position": page["next"] }));
    assert_eq!(put.send().await.unwrap().status().as_u16(), 201);
    let listed = home.run("event list --cursor here");
    assert_eq!(listed.lines().count(), 5, "{listed}");

    let next = page["next"].as_str().unwrap();
    for from in ["--cursor here", &format!("--after {next}")] {
        subscriber.accepted.lock().unwrap().clear();
        home.run(&format!("event replay {id} {from}"));
        // An event of the replay before may arrive a second time.
        let last = [3, 4].map(|message| format!("SM2{message:031x}"));
        until("the last five events arrive again", async || {
            let accepted = subscriber.accepted.lock().unwrap();
            let count = |sid: &String| accepted.get(sid).map_or(0, Vec::len);
            count(&last[0]) >= 2 && count(&last[1]) >= 3
        })
        .await;
        let mut accepted = subscriber.accepted.lock().unwrap().clone();
        accepted.remove(&format!("SM0{:031x}", 0));
        assert_eq!(accepted.into_keys().collect::<Vec<_>>(), last);
    }

    for (line, status, expected) in [
        (
            "event list --cursor nowhere",
            1,
            "there is no cursor nowhere",
        ),
        ("event list --cursor a/b", 1, "--cursor"),
        (
            &format!("event replay {id} --after !"),
            1,
            "as the API shows it",
        ),
        (
            &format!("event replay {id} --cursor nowhere"),
            1,
            "no cursor nowhere",
        ),
        (
            &format!("event replay {id} --after latest"),
            1,
            "no events after it",
        ),
        (&format!("event replay {id}"), 2, "at least one option"),
        (
            &format!("event replay {id} --all --cursor here"),
            2,
            "cannot be used with",
        ),
        ("event replay x --all", 1, "is not a subscription id"),
    ] {
        home.fails(line, status, expected);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn threads_that_may_be_late_have_low_priority() {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    let niceness = |may_be_late: bool| {
        let threads = server.threads().into_iter();
        let threads = threads
            .filter(|(name, _)| ["delivery", "statistics"].contains(&name.as_str()) == may_be_late);
        threads.map(|(_, niceness)| niceness).collect::<Vec<_>>()
    };
    until("both threads run", async || niceness(true) == [15, 15]).await;
    assert!(niceness(false).iter().all(|niceness| *niceness < 15));
}

/// Starts an endpoint that answers 410 to every request, and returns its URL.
fn endpoint_answering_410() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 16_384];
            let _ = connection.read(&mut head);
            let answer = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(answer);
        }
    });
    format!("http://{address}/hook")
}

#[tokio::test]
async fn stopped_subscription_is_logged_once() {
    let home = Installation::new(Engine::Postgres).await;
    home.add_channel();
    let servers = [serve(&home), serve_in(&home, "other")];
    let id = subscribe(&home, &endpoint_answering_410());
    assert_eq!(servers[0].report("SM1", "sent").await, 204);
    until("the subscription has ended", async || {
        let (_, shown) = servers[1].get(&format!("/api/v1/subscriptions/{id}")).await;
        shown["state"] == "ended"
    })
    .await;
    let lines = || {
        let logs = servers.iter().map(Server::log);
        let lines = logs.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>());
        let stopped = lines.filter(|line| line.contains("event=\"subscription_stopped\""));
        stopped.collect::<Vec<_>>()
    };
    until("the log has a line", async || !lines().is_empty()).await;
    let [line] = &lines()[..] else {
        panic!("{:#?}", lines());
    };
    assert!(
        line.contains(&id) && line.contains("reason=\"gone\""),
        "{line}"
    );
    let (_, health) = servers[1].get("/readyz").await;
    assert!(
        health.to_string().contains(&format!("{id} has ended")),
        "{health}"
    );
    home.run(&format!("subscription remove {id}"));
}
