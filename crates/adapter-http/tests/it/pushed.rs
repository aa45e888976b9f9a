//! The document of what is pushed says what real events are.

use std::collections::BTreeSet;

use domain::EventType;
use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::Request;
use crate::fixture::on_memory;
use crate::service::fields;

/// Events of every type, as the program makes them.
async fn real_events() -> (Value, Vec<Value>) {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    for (number, event_type) in (1..).zip(EventType::ALL) {
        let sid = twilio_sid(number);
        let words = match event_type {
            EventType::Moved(status) => vec![status.as_str()],
            EventType::Contradicted => vec!["failed", "delivered"],
        };
        for word in words {
            let fields = fields(&sid, word);
            let error = ("ErrorCode", "63016");
            let with_error: Vec<_> = fields.into_iter().chain([error]).collect();
            let fields = if word == "failed" {
                &with_error[..]
            } else {
                &fields
            };
            let request = Request::post(&channel.path())
                .form(fields)
                .basic(&channel.user, &channel.password);
            assert_eq!(request.send(service.public).await.status, 204, "{word}");
        }
    }
    let page = service.shown("/api/v1/events?limit=500").await;
    let document = Request::get("/openapi.json").send(service.operator).await;
    (document.json(), page["items"].as_array().unwrap().clone())
}

/// Holds values against a schema and notes which of its properties they have.
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

    /// The alternatives of a schema: itself, if there are none.
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

    /// All properties that a schema has.
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
async fn the_document_of_a_pushed_event_has_the_fields_of_real_ones_and_no_others() {
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
async fn the_document_of_a_pushed_event_names_its_headers_and_the_answers() {
    let (running, _) = on_memory().await;
    let document = Request::get("/openapi.json")
        .send(running.service.operator)
        .await;
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
    // It is no path of this service, and asks for no token of it.
    assert!(document["paths"]["message"].is_null());
    assert_eq!(pushed["security"], json!([{}]));
}
