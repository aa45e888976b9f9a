//! The fields of queries and forms, in the order they were sent.

use std::fmt::Display;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use url::form_urlencoded;

use crate::error::PageError;

/// The fields of a query or form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Parses a query or the body of a form.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Returns the first value of a field without blanks around it; `None` if that is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Returns the first value of a field as it was sent; empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns all values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let all = self.0.iter().filter(move |(found, _)| found == name);
        all.map(|(_, value)| value.as_str())
    }

    /// Returns all fields, as names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// Returns whether a box was ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns these fields with one replaced, or removed if it is `None`.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let others = self.0.iter().filter(|(found, _)| found != name);
        let mut fields: Vec<_> = others.cloned().collect();
        if let Some(value) = value {
            fields.push((name.to_owned(), value.to_owned()));
        }
        Self(fields)
    }

    /// Returns these fields with another value of a name.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns them as a query with a question mark; empty if there are none.
    pub(crate) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }
}

/// The fields of a form that was posted.
pub(crate) struct Form(pub(crate) Fields);

impl FromRequest for Form {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let body = body.await.map_err(|_| PageError::BrokenForm)?;
            Ok(Self(Fields::parse(&body)))
        })
    }
}

/// Collects what is wrong with a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormErrors(Vec<(&'static str, String)>);

impl FormErrors {
    /// Returns the value if it is valid; otherwise notes what would be valid.
    pub(crate) fn check<T, E: Display>(
        &mut self,
        name: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(name, error.to_string());
                None
            }
        }
    }

    /// Notes that a field is wrong.
    pub(crate) fn add(&mut self, name: &'static str, message: impl Into<String>) {
        self.0.push((name, message.into()));
    }

    /// Returns what is wrong with a field.
    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| *found == name);
        found.map(|(_, message)| message.as_str())
    }

    /// Returns all that is wrong, as names of fields and messages.
    pub(crate) fn list(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// Returns whether nothing is wrong.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_changed_and_written_again() {
        let fields = Fields::parse(b"status=read&channel=&code=1+2%26");
        assert_eq!(fields.get("code"), Some("1 2&"));
        assert_eq!(fields.get("channel"), None);
        assert_eq!(fields.query(), "?status=read&code=1+2%26");
        let other = fields.with("status", None).with("code", Some("5"));
        assert_eq!(other.query(), "?code=5");
        assert_eq!(Fields::default().query(), "");
    }
}
