//! A client of a running service: its addresses and its API.

use std::net::SocketAddr;
use std::sync::LazyLock;

use serde_json::{Value, json};

pub use traffic::form::required_fields as fields;

use crate::client::{Answer, Request};

/// A running service.
#[derive(Clone, Debug)]
pub struct Service {
    pub public: SocketAddr,
    pub operator: SocketAddr,
    pub admin_token: String,
}

/// A channel that was added through the API.
pub struct MadeChannel {
    pub id: String,
    pub user: String,
    pub password: String,
    pub callback_url: String,
}

/// A subscription that was added through the API.
pub struct MadeSubscription {
    pub id: String,
}

impl Service {
    /// Sends a request to the operator's listener, with the admin token.
    pub async fn operator(&self, request: Request) -> Answer {
        let request = request.bearer(&self.admin_token);
        let answer = request.send(self.operator).await;
        assert_documented(&request, &answer);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.operator(Request::get(path)).await
    }

    /// Returns the JSON at a path of the API.
    pub async fn shown(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Calls the API: `call` is a method and a path below `/api/v1`, like `POST /channels`. The
    /// body is JSON; none is sent if it is null.
    pub async fn api(&self, call: &str, body: Value) -> Answer {
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let request = Request::new(method, &format!("/api/v1{path}"));
        if body.is_null() {
            self.operator(request).await
        } else {
            self.operator(request.json(&body)).await
        }
    }

    /// Adds a channel of Twilio. `more` are further fields of the request.
    pub async fn add_channel(&self, id: &str, more: Value) -> MadeChannel {
        let mut body = json!({
            "id": id,
            "integrator": "twilio",
            "name": "Service desk",
            "user": "webhook",
        });
        let more = more.as_object().expect("an object");
        body.as_object_mut().unwrap().extend(more.clone());
        let answer = self.api("POST /channels", body.clone()).await;
        answer.assert("201");
        let made = answer.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        MadeChannel {
            id: id.to_owned(),
            user: text(&body["user"]),
            password: text(&made["password"]),
            callback_url: text(&made["callback_url"]),
        }
    }

    /// Returns the items of all pages of a list, and the number of pages. `path` has a query.
    pub async fn all_pages(&self, path: &str) -> (Vec<Value>, usize) {
        let (mut items, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let page = self.shown(&format!("{path}{next}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            pages += 1;
            let Some(cursor) = page["next"].as_str() else {
                return (items, pages);
            };
            next = format!("&cursor={cursor}");
        }
    }

    /// Adds a subscription. `more` are further fields of the request.
    pub async fn add_subscription(&self, more: Value) -> MadeSubscription {
        let mut body = json!({"url": "https://subscriber.example.com/"});
        let more = more.as_object().expect("an object");
        body.as_object_mut().unwrap().extend(more.clone());
        let answer = self.api("POST /subscriptions", body).await;
        answer.assert("201");
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        MadeSubscription { id }
    }

    /// Returns the value of a metric, named with its labels as in the text format.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let mut lines = answer.text().lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }
}

/// The OpenAPI document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let public_url = domain::PublicUrl::parse("https://reports.example.com").expect("a URL");
    adapter_http::api::openapi::document(&public_url, &["twilio"])
});

/// Checks that the document contains the answer of an operation.
fn assert_documented(request: &Request, answer: &Answer) {
    let Some(operation) = operation(request) else {
        return;
    };
    let (id, status) = (&operation["operationId"], answer.status);
    let documented = &operation["responses"][status.to_string()];
    let description = documented["description"].as_str();
    let description =
        description.unwrap_or_else(|| panic!("{id} answers {status}: {}", answer.text()));
    if answer.header("content-type") == Some("application/problem+json") {
        let code = answer.problem();
        // The path only looks like that of the operation.
        if code == "not_found" {
            return;
        }
        let documented = description.contains(&format!("`{code}`"));
        assert!(documented, "{id} answers {status} {code}");
    }
}

fn operation(request: &Request) -> Option<&'static Value> {
    let path = request.path_alone().split('/');
    let fits = |template: &str| {
        let mut parts = template.split('/').zip(path.clone());
        template.split('/').count() == path.clone().count()
            && parts.all(|(known, part)| known.starts_with('{') || known == part)
    };
    let mut paths = DOCUMENT["paths"].as_object()?.iter();
    let (_, operations) = paths.find(|(template, _)| fits(template))?;
    operations.get(request.verb().to_ascii_lowercase())
}

impl MadeSubscription {
    /// Returns its path.
    pub fn path(&self) -> String {
        format!("/api/v1/subscriptions/{}", self.id)
    }

    /// Returns a call for [`Service::api`], with `action` after the path.
    pub fn call(&self, method: &str, action: &str) -> String {
        format!("{method} /subscriptions/{}{action}", self.id)
    }
}

impl MadeChannel {
    pub fn path(&self) -> String {
        format!("/social/on/whatsapp/twilio/report/{}", self.id)
    }

    /// Makes a valid report of a message, with valid credentials.
    pub fn report(&self, sid: &str, status: &str) -> Request {
        self.unauthenticated(sid, status)
            .basic(&self.user, &self.password)
    }

    /// Makes the same report without credentials, as Twilio sends it first.
    pub fn unauthenticated(&self, sid: &str, status: &str) -> Request {
        Request::post(&self.path()).form(&fields(sid, status))
    }
}
