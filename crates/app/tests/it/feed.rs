//! Events of the built program: pushed over kills, replayed, printed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::support::{CHANNEL, Engine, Home, Server, until};

/// A subscriber that takes everything and remembers what it took.
#[derive(Clone, Default)]
struct Subscriber {
    /// Revisions by message, in the order in which they came.
    taken: Arc<Mutex<BTreeMap<String, Vec<i64>>>>,
}

impl Subscriber {
    /// Listens until the test's process ends, and says where.
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
            let mut taken = self.taken.lock().unwrap();
            taken.entry(sid).or_default().push(revision);
            drop(taken);
            answers.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
        }
    }

    /// Whether every message had all revisions up to this one, none before an
    /// earlier one. Some may have come more than once.
    fn has_all(&self, messages: usize, revisions: i64) -> bool {
        let taken = self.taken.lock().unwrap();
        for (sid, revisions) in taken.iter() {
            let mut newest = 0;
            for revision in revisions {
                assert!(*revision <= newest + 1, "{sid}: {revisions:?}");
                newest = newest.max(*revision);
            }
        }
        taken.len() == messages
            && taken
                .values()
                .all(|of_it| of_it.iter().max() == Some(&revisions))
    }
}

fn serve(home: &Home) -> Server {
    let mut command = home.command(&["serve"]);
    command
        .env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true")
        .env("RECEIPTD_PUSH_LEASE_SECONDS", "2");
    Server::start(command)
}

async fn events_arrive_over_kills(engine: Engine) {
    let home = Home::new(engine).await;
    home.add_channel();
    let subscriber = Subscriber::default();
    let mut server = serve(&home);
    let add = ["subscription", "add", &subscriber.listen()];
    let mut command = home.command(&[&add[..], &["--json"]].concat());
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let output = super::support::run(command, b"");
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = added["id"].as_str().unwrap();

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
    until("all of it is taken down", async || {
        let path = format!("/api/v1/subscriptions/{id}");
        let (_, status) = server.get(&path).await;
        status["lag"]["reports"] == 0 && status["open"] == 0
    })
    .await;
    let deliveries = home.json(&["subscription", "deliveries", id, "--state", "delivered"]);
    assert_eq!(deliveries.as_array().unwrap().len(), 45);

    let sid = format!("SM0{:031x}", 0);
    subscriber.taken.lock().unwrap().clear();
    home.run(&["subscription", "replay", id, "--message", CHANNEL, &sid]);
    until("its events come again", async || subscriber.has_all(1, 3)).await;

    let listed = home.run(&["event", "list", "--type", "message.read"]);
    assert_eq!(listed.lines().count(), 15, "{listed}");
    assert!(listed.contains("delivered -> read"), "{listed}");
}

#[tokio::test]
async fn events_arrive_over_kills_on_sqlite() {
    events_arrive_over_kills(Engine::Sqlite).await;
}

#[tokio::test]
async fn events_arrive_over_kills_on_postgres() {
    events_arrive_over_kills(Engine::Postgres).await;
}
