//! Events of the built program: pushed over kills, replayed, printed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::support::{CHANNEL, Engine, RuntimeHandle, Server, until};

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

fn serve(home: &RuntimeHandle) -> Server {
    serve_in(home, "data")
}

/// Each server on one database has a data folder of its own.
fn serve_in(home: &RuntimeHandle, folder: &str) -> Server {
    let mut command = home.command(&["serve"]);
    command
        .env("RECEIPTD_DATA_DIR", home.folder.path().join(folder))
        .env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true")
        .env("RECEIPTD_PUSH_LEASE_SECONDS", "2");
    Server::start(command)
}

/// Adds a subscription to everything from now on, and gives its id.
fn subscribe(home: &RuntimeHandle, url: &str) -> String {
    let mut command = home.command(&["subscription", "add", url, "--json"]);
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let output = super::support::run(command, b"");
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    added["id"].as_str().unwrap().to_owned()
}

async fn events_arrive_over_kills(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
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
    until("all of it is taken down", async || {
        let path = format!("/api/v1/subscriptions/{id}");
        let (_, status) = server.get(&path).await;
        status["lag"]["reports"] == 0 && status["open"] == 0
    })
    .await;
    let deliveries = home.json(&["subscription", "deliveries", id, "--state", "delivered"]);
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 45);
    assert_eq!(deliveries["items"][0]["state"], "delivered");
    let first = deliveries["items"][0]["id"].as_str().unwrap();
    let shown = home.run(&["delivery", "show", first]);
    assert!(shown.contains("tried 1 times"), "{shown}");

    let (_, status) = server.get(&format!("/api/v1/subscriptions/{id}")).await;
    assert_eq!(status["rates"]["hour"]["delivered"], 45);
    let shown = home.run(&["subscription", "show", id]);
    assert!(
        shown.contains("behind     0 reports, 0 events, 0 s"),
        "{shown}"
    );
    assert!(
        shown.contains("in the last hour 45 delivered, 0 failed"),
        "{shown}"
    );

    let sid = format!("SM0{:031x}", 0);
    for command in [["subscription", "replay"], ["event", "replay"]] {
        subscriber.taken.lock().unwrap().clear();
        home.run(&[&command[..], &[id, "--message", CHANNEL, &sid]].concat());
        until("its events come again", async || subscriber.has_all(1, 3)).await;
    }
    events_are_read_and_replayed_from_a_cursor(&home, &server, &subscriber, id).await;

    let listed = home.run(&["event", "list", "--type", "message.read"]);
    assert_eq!(listed.lines().count(), 15, "{listed}");
    assert!(listed.contains("delivered -> read"), "{listed}");
}

async fn events_are_read_and_replayed_from_a_cursor(
    home: &RuntimeHandle,
    server: &Server,
    subscriber: &Subscriber,
    id: &str,
) {
    let (_, page) = server.get("/api/v1/events?limit=40").await;
    let put = super::support::client()
        .put(format!("{}/api/v1/cursors/here", server.operator))
        .bearer_auth(super::support::ADMIN_TOKEN)
        .json(&serde_json::json!({ "position": page["next"] }));
    assert_eq!(put.send().await.unwrap().status().as_u16(), 201);
    let listed = home.run(&["event", "list", "--cursor", "here"]);
    assert_eq!(listed.lines().count(), 5, "{listed}");

    let next = page["next"].as_str().unwrap();
    for from in [["--cursor", "here"], ["--after", next]] {
        subscriber.taken.lock().unwrap().clear();
        home.run(&[&["event", "replay", id], &from[..]].concat());
        // One that is replayed just before may come a second time.
        let last = [3, 4].map(|message| format!("SM2{message:031x}"));
        until("the last five events come again", async || {
            let taken = subscriber.taken.lock().unwrap();
            let came = |sid: &String| taken.get(sid).map_or(0, Vec::len);
            came(&last[0]) >= 2 && came(&last[1]) >= 3
        })
        .await;
        let mut taken = subscriber.taken.lock().unwrap().clone();
        taken.remove(&format!("SM0{:031x}", 0));
        assert_eq!(taken.into_keys().collect::<Vec<_>>(), last);
    }

    for (args, status, said) in [
        (
            &["event", "list", "--cursor", "nowhere"][..],
            1,
            "there is no cursor nowhere",
        ),
        (&["event", "list", "--cursor", "a/b"], 1, "--cursor"),
        (
            &["event", "replay", id, "--after", "!"],
            1,
            "as the API shows it",
        ),
        (
            &["event", "replay", id, "--cursor", "nowhere"],
            1,
            "no cursor nowhere",
        ),
        (
            &["event", "replay", id, "--after", "latest"],
            1,
            "nothing behind it",
        ),
        (&["event", "replay", id], 2, "--since"),
        (
            &["event", "replay", id, "--all", "--cursor", "here"],
            2,
            "cannot be used with",
        ),
        (
            &["event", "replay", "x", "--all"],
            1,
            "is no subscription id",
        ),
    ] {
        let output = home.run_with_input(args, b"");
        let stderr = super::support::text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn events_arrive_over_kills_on_sqlite() {
    events_arrive_over_kills(Engine::Sqlite).await;
}

#[tokio::test]
async fn events_arrive_over_kills_on_postgres() {
    events_arrive_over_kills(Engine::Postgres).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_thread_that_pushes_gives_way_to_all_others() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let server = home.serve();
    let niceness = |pushes: bool| {
        let threads = server.threads().into_iter();
        let some = threads.filter(|(name, _)| (name == "push") == pushes);
        some.map(|(_, niceness)| niceness).collect::<Vec<_>>()
    };
    until("it has a thread that gives way", async || {
        niceness(true) == [15]
    })
    .await;
    assert!(niceness(false).iter().all(|niceness| *niceness < 15));
}

/// A target that answers 410 to whatever it is sent.
fn gone() -> String {
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
async fn a_subscription_that_is_stopped_is_told_of_once() {
    let home = RuntimeHandle::new(Engine::Postgres).await;
    home.add_channel();
    let servers = [serve(&home), serve_in(&home, "other")];
    let id = subscribe(&home, &gone());
    assert_eq!(servers[0].report("SM1", "sent").await, 204);
    until("it has ended", async || {
        let (_, shown) = servers[1].get(&format!("/api/v1/subscriptions/{id}")).await;
        shown["state"] == "ended"
    })
    .await;
    let lines = || {
        let logs = servers
            .iter()
            .map(Server::log)
            .collect::<Vec<_>>()
            .join("\n");
        let told = logs
            .lines()
            .filter(|line| line.contains("event=\"subscription_stopped\""));
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    until("it is told", async || !lines().is_empty()).await;
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
    home.run(&["subscription", "remove", &id]);
}
