//! The documented form of events, compared with real ones.

use std::collections::BTreeSet;

use domain::EventType;
use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::Request;
use crate::fixture::on_memory;
use crate::service::fields;

/// Returns the document and real events of every type.
async fn real_events() -> (Value, Vec<Value>) {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    for (number, event_type) in (1..).zip(EventType::ALL) {
        let sid = twilio_sid(number);
        let statuses = match event_type {
            EventType::Moved(status) => vec![status.as_str()],
            EventType::Contradicted => vec!["failed", "delivered"],
        };
        for status in statuses {
            let fields = fields(&sid, status);
            let error = ("ErrorCode", "63016");
            let with_error: Vec<_> = fields.into_iter().chain([error]).collect();
            let fields = if status == "failed" {
                &with_error[..]
            } else {
                &fields
            };
            let request = Request::post(&channel.path())
                .form(fields)
                .basic(&channel.user, &channel.password);
            request.send(running.public).await.assert_for(status, "204");
        }
    }
    let page = running.shown("/api/v1/events?limit=500").await;
    let document = Request::get("/openapi.json").send(running.operator).await;
    (document.json(), page["items"].as_array().unwrap().clone())
}

/// Compares values with a schema and collects the properties they have.
struct Comparison<'a> {
    document: &'a Value,
    seen: BTreeSet<String>,
}

impl<'a> Comparison<'a> {
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(to) => self.document.pointer(to.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// Returns the alternatives of a schema, or itself.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        match schema["oneOf"].as_array() {
            Some(some) => some.iter().map(|each| self.resolved(each)).collect(),
            None => vec![schema],
        }
    }

    fn compare(&mut self, at: &str, schema: &'a Value, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_of = |schema: &&Value| match &schema["type"] {
            Value::Array(kinds) => kinds.contains(&json!(kind)),
            one => *one == json!(kind),
        };
        let fitting = self.alternatives(schema).into_iter().find(is_of);
        let schema = fitting.unwrap_or_else(|| panic!("{at} is {kind}: {schema}"));
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{at} is {value}");
        }
        match value {
            Value::Object(fields) => {
                let properties = schema["properties"].as_object().unwrap();
                for (name, value) in fields {
                    let path = format!("{at}.{name}");
                    let schema = properties.get(name);
                    let schema = schema.unwrap_or_else(|| panic!("{path} is not documented"));
                    self.seen.insert(path.clone());
                    self.compare(&path, schema, value);
                }
                for name in schema["required"].as_array().unwrap() {
                    assert!(
                        fields.contains_key(name.as_str().unwrap()),
                        "{at} has no {name}"
                    );
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.compare(&format!("{at}[]"), &schema["items"], item);
                }
            }
            _ => {}
        }
    }

    /// Collects all properties of a schema.
    fn properties(&self, at: &str, schema: &'a Value, found: &mut BTreeSet<String>) {
        for schema in self.alternatives(schema) {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{at}.{name}");
                self.properties(&path, schema, found);
                found.insert(path);
            }
            if !schema["items"].is_null() {
                self.properties(&format!("{at}[]"), &schema["items"], found);
            }
        }
    }
}

#[tokio::test]
async fn documented_event_has_exactly_the_fields_of_real_events() {
    let (document, events) = real_events().await;
    let pushed = &document["webhooks"]["message"]["post"];
    let body = &pushed["requestBody"]["content"]["application/cloudevents+json"]["schema"];
    let mut comparison = Comparison {
        document: &document,
        seen: BTreeSet::new(),
    };
    for event in &events {
        comparison.compare("event", body, event);
    }
    let mut documented = BTreeSet::new();
    comparison.properties("event", body, &mut documented);
    assert_eq!(comparison.seen, documented);
    assert!(documented.contains("event.data.error.permanence"));
    assert!(documented.contains("event.data.timeline[].status"));

    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    let words = &comparison.resolved(body)["properties"]["type"]["enum"];
    let words = words.as_array().unwrap().iter();
    let words: BTreeSet<_> = words.map(|word| word.as_str().unwrap()).collect();
    assert_eq!(types.collect::<BTreeSet<_>>(), words);
    assert_eq!(words.len(), EventType::ALL.len());
}

#[tokio::test]
async fn document_names_headers_and_answers_of_event_requests() {
    let (running, _) = on_memory().await;
    let document = Request::get("/openapi.json").send(running.operator).await;
    let document = document.json();
    let pushed = &document["webhooks"]["message"]["post"];
    let headers = pushed["parameters"].as_array().unwrap().iter();
    let headers: Vec<_> = headers.map(|each| (&each["name"], &each["in"])).collect();
    let header = json!("header");
    assert_eq!(
        headers,
        [
            (&json!("webhook-id"), &header),
            (&json!("webhook-timestamp"), &header),
            (&json!("webhook-signature"), &header),
        ]
    );
    let answers: Vec<_> = pushed["responses"].as_object().unwrap().keys().collect();
    assert_eq!(answers, ["2XX", "3XX", "410", "4XX", "5XX"]);
    assert!(pushed["responses"]["5XX"]["headers"]["Retry-After"].is_object());
    // It is not a path of this service and requires no token.
    assert!(document["paths"]["message"].is_null());
    assert_eq!(pushed["security"], json!([{}]));
}
