//! A running server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ADMIN_TOKEN, CHANNEL, PASSWORD, TIMEOUT, USER, client};

/// A running server, or a running worker whose listener takes the place of the operator's. It is
/// killed when dropped.
pub struct Server {
    child: Child,
    pub public: String,
    pub operator: String,
    pub lines: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (sender, addresses) = std::sync::mpsc::channel();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(found) = addresses_in(&line) {
                    let _ = sender.send(found);
                }
                kept.lock().unwrap().push(line);
            }
        });
        let Ok((public, operator)) = addresses.recv_timeout(TIMEOUT) else {
            let _ = child.kill();
            panic!("the server did not start: {:#?}", lines.lock().unwrap());
        };
        Self {
            child,
            public,
            operator,
            lines,
        }
    }

    /// Returns a server that was started with these addresses; its log is not read.
    pub fn running(child: Child, public: &str, operator: &str) -> Self {
        Self {
            child,
            public: format!("http://{public}"),
            operator: format!("http://{operator}"),
            lines: std::sync::Arc::default(),
        }
    }

    /// Returns whether the operator's listener answers.
    pub async fn is_alive(&self) -> bool {
        let request = client().get(format!("{}/healthz", self.operator));
        request.send().await.is_ok()
    }

    /// Returns the name and niceness of each thread.
    pub fn threads(&self) -> Vec<(String, i32)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut threads = Vec::new();
        for task in tasks.flatten() {
            // The thread may have ended meanwhile.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
                continue;
            };
            let (name, fields) = stat.rsplit_once(')').unwrap();
            let name = name.split_once('(').unwrap().1.to_owned();
            let niceness = fields.split_whitespace().nth(16).unwrap();
            threads.push((name, niceness.parse().unwrap()));
        }
        threads
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub fn report_url(&self) -> String {
        format!("{}/social/on/whatsapp/twilio/report/{CHANNEL}", self.public)
    }

    /// Sends a report with credentials and returns the status code.
    pub async fn report(&self, sid: &str, status: &str) -> u16 {
        let body = traffic::form::encode(&traffic::form::required_fields(sid, status));
        let request = client()
            .post(self.report_url())
            .basic_auth(USER, Some(PASSWORD))
            .header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(body);
        request
            .send()
            .await
            .map_or(0, |answer| answer.status().as_u16())
    }

    /// Sends what Twilio's Debugger says about a failed callback of a message, and returns the
    /// status code.
    pub async fn debug(&self, sid: &str) -> u16 {
        let url = self.report_url();
        let payload = serde_json::json!({
            "error_code": "11200", "resource_sid": sid, "webhook": {"request": {"url": url}},
        });
        let form = [("Sid", "NO1"), ("Payload", &payload.to_string())];
        let request = client()
            .post(url.replace("/report/", "/debugger/"))
            .basic_auth(USER, Some(PASSWORD))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(form).unwrap());
        request.send().await.unwrap().status().as_u16()
    }

    /// Sends a GET request to the operator's API.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = client()
            .get(format!("{}{path}", self.operator))
            .bearer_auth(ADMIN_TOKEN);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Sends a GET request to the operator's API and returns the text of the answer.
    pub async fn get_text(&self, path: &str) -> String {
        let request = client().get(format!("{}{path}", self.operator));
        let answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// Returns the value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.get_text("/metrics").await;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("there is no {name}: {metrics}"));
        value.parse().unwrap()
    }

    /// Returns the status code and the text of `/readyz`.
    pub async fn readyz(&self) -> (u16, String) {
        let answer = client().get(format!("{}/readyz", self.operator));
        let answer = answer.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Stops the server with SIGTERM, which must succeed.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait(), "{}", self.log());
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    /// Waits until the process ends, and returns whether it succeeded.
    pub fn wait(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(
                began.elapsed() < TIMEOUT,
                "the process does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn addresses_in(line: &str) -> Option<(String, String)> {
    let url = |text: &str| {
        let address = text.split_whitespace().next()?;
        let plain = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
        let address: String = address.chars().filter(plain).collect();
        Some(format!("http://{address}"))
    };
    if let Some((_, watched)) = line.split_once("serving metrics and health on ") {
        return Some((String::new(), url(watched)?));
    }
    let (_, rest) = line.split_once("receiving reports on ")?;
    let (public, operator) = rest.split_once(", the operator's API is on ")?;
    Some((url(public)?, url(operator)?))
}
