//! Where a service is that answers over HTTP, and how its API is asked. Nothing
//! here knows what it is made of.

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

/// A channel that was made through the API.
pub struct MadeChannel {
    pub id: String,
    pub user: String,
    pub password: String,
    pub callback_url: String,
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

    /// The JSON at a path of the API.
    pub async fn shown(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Adds a channel of Twilio's. `more` are further fields of the request.
    pub async fn add_channel(&self, id: &str, more: Value) -> MadeChannel {
        let mut body = json!({
            "id": id,
            "integrator": "twilio",
            "name": "Service desk",
            "user": "webhook",
        });
        let more = more.as_object().expect("an object");
        body.as_object_mut().unwrap().extend(more.clone());
        let request = Request::post("/api/v1/channels").json(&body);
        let answer = self.operator(request).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        MadeChannel {
            id: id.to_owned(),
            user: text(&body["user"]),
            password: text(&made["password"]),
            callback_url: text(&made["callback_url"]),
        }
    }

    /// The value of a metric with its labels, as written in the text format.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let mut lines = answer.text().lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse().expect("a number"))
    }
}

/// The document of the API, as it describes itself.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let public_url = domain::PublicUrl::parse("https://reports.example.com").expect("a URL");
    adapter_http::api::openapi::document(&public_url, &["twilio"])
});

/// Whatever an operation of the API answers, its document says that it may.
fn assert_documented(request: &Request, answer: &Answer) {
    let Some(operation) = operation(request) else {
        return;
    };
    let (id, status) = (&operation["operationId"], answer.status);
    let documented = &operation["responses"][status.to_string()];
    let said = documented["description"].as_str();
    let said = said.unwrap_or_else(|| panic!("{id} answers {status}: {}", answer.text()));
    if answer.header("content-type") == Some("application/problem+json") {
        let code = answer.problem();
        // The path looks like that of the operation, and is none.
        if code == "not_found" {
            return;
        }
        assert!(
            said.contains(&format!("`{code}`")),
            "{id} answers {status} {code}"
        );
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

impl MadeChannel {
    pub fn path(&self) -> String {
        format!("/social/on/whatsapp/twilio/report/{}", self.id)
    }

    /// A good report of a message, with the right credentials.
    pub fn report(&self, sid: &str, status: &str) -> Request {
        self.unproven(sid, status).basic(&self.user, &self.password)
    }

    /// The same without credentials, as it is sent first.
    pub fn unproven(&self, sid: &str, status: &str) -> Request {
        Request::post(&self.path()).form(&fields(sid, status))
    }
}
