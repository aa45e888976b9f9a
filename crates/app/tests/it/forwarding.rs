//! Forwards requests that are not reports to a server that receives them.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::Value;
use traffic::integrator::Integrator;

use super::support::{CHANNEL, Engine, Installation, Server, client, run, text, until};

const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An incoming message, in bytes that no serializer writes.
const MESSAGE: &str = "{\"object\" : \"whatsapp_business_account\",\r\n \"entry\":[{\"changes\":[{\
    \"field\":\"messages\",\"value\":{\"messages\":[{\"id\":\"wamid.in\",\"from\":\"15550100001\",\
    \"text\":{\"body\":\"Gr\\u00fc\\u00dfe \u{1f44d}\"}}]}}]}] }\n";

/// A request as it was forwarded.
#[derive(Clone, Debug)]
struct Received {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A server that keeps every request.
#[derive(Clone, Default)]
struct Inbox {
    received: Arc<Mutex<Vec<Received>>>,
    /// The statuses of the next answers; then 200.
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

impl Inbox {
    fn answering(statuses: &[u16]) -> Self {
        let inbox = Self::default();
        inbox.statuses.lock().unwrap().extend(statuses);
        inbox
    }

    /// Listens until the test process ends, and returns the URL.
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inbox = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let inbox = inbox.clone();
                std::thread::spawn(move || inbox.serve(connection));
            }
        });
        format!("http://{address}/inbox?token=secret")
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut answers = connection.try_clone().ok()?;
        let mut requests = BufReader::new(connection);
        loop {
            let mut request = Received {
                headers: Vec::new(),
                body: Vec::new(),
            };
            let mut line = String::new();
            requests
                .read_line(&mut line)
                .ok()
                .filter(|read| *read > 0)?;
            assert_eq!(line, "POST /inbox?token=secret HTTP/1.1\r\n");
            loop {
                line.clear();
                requests.read_line(&mut line).ok()?;
                let Some((name, value)) = line.trim_end().split_once(": ") else {
                    break;
                };
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            let length = request.header("content-length")?.parse().ok()?;
            request.body = vec![0; length];
            requests.read_exact(&mut request.body).ok()?;
            self.received.lock().unwrap().push(request);
            let status = self.statuses.lock().unwrap().pop_front().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n");
            answers.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Returns a command that may connect to this machine.
fn command(home: &Installation, line: &str) -> Command {
    let mut command = home.command(line);
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    command
}

fn succeeds(home: &Installation, line: &str, input: &str) -> String {
    let output = run(command(home, line), input.as_bytes());
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Adds a channel whose requests are forwarded to `url`.
fn add_channel(home: &Installation, integrator: &str, url: &str) {
    let line = format!(
        "channel add {CHANNEL} --integrator {integrator} --name Test --user u --password-stdin \
         --forward-url {url}"
    );
    let file = home.folder.path().join("app-secret");
    std::fs::write(&file, APP_SECRET).unwrap();
    let line = match integrator {
        "meta" => format!("{line} --signature-token-file {}", file.display()),
        _ => line,
    };
    succeeds(home, &line, APP_SECRET);
}

/// Sends a body as the integrator does, and returns the status of the answer.
async fn send(server: &Server, integrator: Integrator, body: &str) -> u16 {
    let (path, (name, value)) = match integrator {
        Integrator::Meta => ("meta/report", integrator.credentials("u", APP_SECRET, body)),
        _ => ("gupshup/message", ("Authorization", APP_SECRET.to_owned())),
    };
    let request = client()
        .post(format!(
            "{}/social/on/whatsapp/{path}/{CHANNEL}",
            server.public
        ))
        .header("Content-Type", "application/json; charset=UTF-8")
        .header(name, value)
        .body(body.to_owned());
    request.send().await.unwrap().status().as_u16()
}

async fn forwarding(server: &Server) -> Value {
    let (_, channel) = server.get(&format!("/api/v1/channels/{CHANNEL}")).await;
    channel["forwarding"].clone()
}

#[rstest]
#[tokio::test]
async fn message_of_meta_is_forwarded_with_a_signature_that_verifies(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let inbox = Inbox::answering(&[500]);
    add_channel(&home, "meta", &inbox.listen());
    let server = Server::start(command(&home, "serve"));
    assert_eq!(send(&server, Integrator::Meta, MESSAGE).await, 200);
    // Meta sends it again, and something whose signature is wrong arrives.
    assert_eq!(send(&server, Integrator::Meta, MESSAGE).await, 200);
    let wrong = client()
        .post(format!(
            "{}/social/on/whatsapp/meta/report/{CHANNEL}",
            server.public
        ))
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", format!("sha256={}", "0".repeat(64)))
        .body(MESSAGE);
    assert_eq!(wrong.send().await.unwrap().status(), 401);

    until("it is forwarded", async || {
        inbox.received().len() >= 2 && forwarding(&server).await["waiting"] == 0
    })
    .await;
    let received = inbox.received();
    assert_eq!(received.len(), 2, "the second attempt succeeds");
    for request in &received {
        assert_eq!(text(&request.body), MESSAGE);
        let (name, signature) = Integrator::Meta.credentials("u", APP_SECRET, MESSAGE);
        assert_eq!(request.header(name), Some(&*signature));
        let media_type = request.header("content-type");
        assert_eq!(media_type, Some("application/json; charset=UTF-8"));
    }
    let count = async |outcome: &str| {
        let name = format!("receiptd_forwarded_requests_total{{outcome=\"{outcome}\"}}");
        server.metric(&name).await
    };
    assert!((count("stored").await - 1.0).abs() < 0.1);
    assert!((count("failed").await - 1.0).abs() < 0.1);
    assert!((count("forwarded").await - 1.0).abs() < 0.1);

    // A request with reports and a message: both.
    let mixed = MESSAGE.replace(
        "\"messages\":[",
        "\"statuses\":[{\"id\":\"wamid.1\",\"status\":\"read\",\"recipient_id\":\"15550100002\"}],\
         \"messages\":[",
    );
    assert_eq!(send(&server, Integrator::Meta, &mixed).await, 200);
    until("it is forwarded", async || inbox.received().len() == 3).await;
    assert_eq!(text(&inbox.received()[2].body), mixed);
    let path = format!("/api/v1/messages/{CHANNEL}/wamid.1");
    assert_eq!(server.get(&path).await.1["status"], "read");
    assert!(!server.log().contains("15550100001"), "{}", server.log());
}

#[rstest]
#[tokio::test]
async fn acknowledged_request_is_forwarded_after_sigkill(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let inbox = Inbox::default();
    add_channel(&home, "gupshup", &inbox.listen());
    // Sends nothing, so that it is killed between the answer and the first attempt.
    let server = Server::start(command(&home, "serve --no-workers"));
    let large = format!(
        "{{\"type\": \"message\", \"payload\": {{\"text\": \"{}\"}}}}",
        "ü".repeat(1_500_000)
    );
    let message = "{\"type\":\"message\",\"payload\":{\"text\":\"\\u0000\"}}";
    assert_eq!(send(&server, Integrator::Gupshup, message).await, 200);
    assert_eq!(send(&server, Integrator::Gupshup, &large).await, 200);
    let waiting = forwarding(&server).await;
    assert_eq!(waiting["waiting"], 2, "{waiting}");
    assert!(waiting["oldest_at"].is_string() && waiting["last_error"].is_null());
    server.signal("KILL");
    drop(server);
    let shown = succeeds(&home, &format!("channel show {CHANNEL}"), "");
    let mut lines = shown.lines().map(str::split_whitespace);
    assert!(
        lines.any(|words| words.eq(["waiting", "requests", "2"])),
        "{shown}"
    );
    assert!(!shown.contains("token=secret"), "{shown}");

    let server = Server::start(command(&home, "serve"));
    until("both are forwarded", async || {
        inbox.received().len() == 2 && forwarding(&server).await["waiting"] == 0
    })
    .await;
    let received = inbox.received();
    let mut bodies: Vec<_> = received.iter().map(|it| text(&it.body)).collect();
    bodies.sort_by_key(String::len);
    assert!(bodies == [message, &large]);
    assert!(
        received
            .iter()
            .all(|it| it.header("authorization").is_none())
    );
}

#[rstest]
#[tokio::test]
async fn worker_forwards_what_a_server_received(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let inbox = Inbox::default();
    add_channel(&home, "meta", &inbox.listen());
    let server = Server::start(command(&home, "serve --no-workers"));
    let mut worker = command(&home, "worker");
    worker.env("RECEIPTD_WORKER_LISTEN", "127.0.0.1:0");
    let worker = Server::start(worker);
    for number in 0..20 {
        let message = MESSAGE.replace("wamid.in", &format!("wamid.{number}"));
        assert_eq!(send(&server, Integrator::Meta, &message).await, 200);
    }
    until("all are forwarded", async || {
        inbox.received().len() == 20 && forwarding(&server).await["waiting"] == 0
    })
    .await;
    worker.stop();
    server.stop();
}

#[tokio::test]
async fn forward_url_is_checked_changed_and_removed() {
    let home = Installation::new(Engine::Sqlite).await;
    let add = |id: &str, integrator: &str, url: &str| {
        format!("channel add {id} --integrator {integrator} --name N --user u --forward-url {url}")
    };
    let public = "https://inbox.example.com/a?token=b";
    home.fails(&add("1", "twilio", public), 1, "sends reports only");
    home.fails(
        &add("1", "infobip", "http://10.0.0.1/"),
        1,
        "a private address",
    );
    home.fails(
        &add("1", "infobip", "ftp://example.com"),
        1,
        "--forward-url",
    );
    home.run(&add("1", "infobip", public));
    let shown = home.json("channel show 1");
    assert_eq!(shown["forward_url"], "https://inbox.example.com/a?***");
    assert_eq!(shown["forwarding"]["waiting"], 0);
    assert_eq!(home.json("channel show 1 --reveal")["forward_url"], public);
    home.fails(
        "channel update 1 --forward-url http://[::1]/",
        1,
        "a loopback address",
    );
    home.fails(
        "channel update 1 --forward-url https://a.example --no-forward-url",
        2,
        "",
    );
    home.run("channel update 1 --name Other");
    assert_eq!(home.json("channel show 1 --reveal")["forward_url"], public);
    home.run("channel update 1 --no-forward-url");
    let shown = home.json("channel show 1");
    assert!(
        shown["forward_url"].is_null() && shown["forwarding"].is_null(),
        "{shown}"
    );
}
