//! Parsing the body of a report: a form to which Twilio adds fields without notice.

use std::borrow::Cow;
use std::fmt::Display;

use domain::report::{FIELDS_LENGTH_MAX, ReportError, ReportFields};
use domain::{Address, Alias, ErrorText, MessageSid, ReportedStatus};
use memchr::{memchr, memchr_iter, memchr2};
use percent_encoding::percent_decode;
use ports::integrator::{
    ParseError, ParsedBody, ParsedReport, ValidationError, ValidationErrorKind,
};

use crate::json;

/// The maximum number of fields; real reports have about twenty.
pub const MAX_FIELDS: usize = 500;

/// How many characters of a field name an error message contains.
const MAX_NAME_CHARS: usize = 64;

/// A decoded field: name and value as bytes.
pub type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Splits a form into its fields, in order. Decodes to bytes, so that the reader of a field
/// detects invalid UTF-8.
pub fn fields(body: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let ends = memchr_iter(b'&', body).chain([body.len()]);
    let starts = [0]
        .into_iter()
        .chain(memchr_iter(b'&', body).map(|and| and + 1));
    starts
        .zip(ends)
        .filter_map(|(start, end)| body.get(start..end))
        .filter(|field| !field.is_empty())
        .map(|field| {
            let name_end = memchr(b'=', field).unwrap_or(field.len());
            let (name, value) = field.split_at(name_end);
            (decoded(name), decoded(value.get(1..).unwrap_or_default()))
        })
}

/// Decodes `%XX` and `+`. Most names and values contain neither and are borrowed.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    match memchr2(b'%', b'+', text) {
        None => text.into(),
        Some(_) if memchr(b'+', text).is_none() => percent_decode(text).into(),
        Some(_) => {
            let spaced: Vec<u8> = text
                .iter()
                .map(|byte| if *byte == b'+' { b' ' } else { *byte })
                .collect();
            Cow::Owned(percent_decode(&spaced).collect())
        }
    }
}

/// Parses a report. `idempotency_token` comes from a header and is passed through.
pub fn parse(body: &[u8], idempotency_token: Option<String>) -> Result<ParsedBody, ParseError> {
    let mut form = Form::default();
    for (count, (name, value)) in fields(body).enumerate() {
        if count == MAX_FIELDS {
            return Err(ParseError::TooLarge("a report may have at most 500 fields"));
        }
        form.take(name, value);
    }
    let report = form.into_report(idempotency_token);
    report.map(Into::into).map_err(ParseError::Invalid)
}

/// The fields that are interpreted, and all others.
struct Form<'a> {
    sid: Slot<'a>,
    status: Slot<'a>,
    to: Slot<'a>,
    from: Slot<'a>,
    error_code: Slot<'a>,
    error_message: Slot<'a>,
    others: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Default for Form<'_> {
    fn default() -> Self {
        Self {
            sid: Slot::new("MessageSid"),
            status: Slot::new("MessageStatus"),
            to: Slot::new("To"),
            from: Slot::new("From"),
            error_code: Slot::new("ErrorCode"),
            error_message: Slot::new("ErrorMessage"),
            // A real report has about ten of them.
            others: Vec::with_capacity(16),
        }
    }
}

impl<'a> Form<'a> {
    fn take(&mut self, name: Cow<'a, [u8]>, value: Cow<'a, [u8]>) {
        let slot = match &*name {
            b"MessageSid" => &mut self.sid,
            b"MessageStatus" => &mut self.status,
            b"To" => &mut self.to,
            b"From" => &mut self.from,
            b"ErrorCode" => &mut self.error_code,
            b"ErrorMessage" => &mut self.error_message,
            _ => return self.others.push((text(name), text(value))),
        };
        slot.take(value);
    }

    fn into_report(
        mut self,
        idempotency_token: Option<String>,
    ) -> Result<ParsedReport, ValidationError> {
        let sid = self.sid.required(|text| MessageSid::parse(text.trim()))?;
        let status = self
            .status
            .required(|text| ReportedStatus::parse(text.trim()))?;
        let recipient = self.to.required(address)?;
        let sender = self.from.required(address)?;
        let code = self.error_code.lenient()?;
        let words = self.error_message.lenient()?;
        let parsed = code.as_deref().and_then(json::error_code_of);
        let error = if let Some(code) = parsed {
            Some(ReportError {
                code,
                text: ErrorText::new(words.as_deref().unwrap_or_default()),
            })
        } else {
            // An unparsable code, or a message without a code, is not an error of the message. It
            // is kept among the other fields: no reason to lose a report.
            for (slot, text) in [(&self.error_code, code), (&self.error_message, words)] {
                self.others
                    .extend(text.map(|text| (slot.name.into(), text.into())));
            }
            None
        };
        let fields = ReportFields::new(&self.others);
        if fields.are_too_long() {
            return Err(self.too_long());
        }
        Ok(ParsedReport {
            index: 0,
            sid,
            status,
            error,
            recipient,
            sender: Some(sender),
            alias: Alias::None,
            happened_at: None,
            fields,
            idempotency_token,
        })
    }

    /// Returns an error that names the longest field.
    fn too_long(&self) -> ValidationError {
        let longest = self.others.iter().max_by_key(|(_, value)| value.len());
        let name = longest.map_or("", |(name, _)| name);
        let start: String = name.chars().take(MAX_NAME_CHARS).collect();
        ValidationError {
            field: "fields",
            kind: ValidationErrorKind::TooLong,
            expected: format!(
                "all fields together take at most {FIELDS_LENGTH_MAX} bytes as JSON; {start} is the longest"
            ),
        }
    }
}

/// Converts to text; invalid UTF-8 is replaced.
fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        // Validating is faster than the lossy conversion.
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
            .into(),
    }
}

/// An interpreted field.
struct Slot<'a> {
    name: &'static str,
    value: Option<Cow<'a, [u8]>>,
    conflicting: bool,
}

impl<'a> Slot<'a> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: None,
            conflicting: false,
        }
    }

    /// Sets the value. Repeating the same value is fine; a different one is a conflict.
    fn take(&mut self, value: Cow<'a, [u8]>) {
        match &self.value {
            None => self.value = Some(value),
            Some(first) => self.conflicting |= *first != value,
        }
    }

    /// Returns the value, or `None` if it is absent or blank.
    fn text(&self) -> Result<Option<&str>, ValidationError> {
        if self.conflicting {
            let expected = format!("{} exactly once, or always with the same value", self.name);
            return Err(self.error(ValidationErrorKind::Conflicting, expected));
        }
        let text = std::str::from_utf8(self.value.as_deref().unwrap_or_default());
        let text = text.map_err(|_| {
            let expected = format!("{} in UTF-8, percent-encoded", self.name);
            self.error(ValidationErrorKind::Invalid, expected)
        })?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Returns the value of an optional field, with invalid UTF-8 replaced.
    fn lenient(&self) -> Result<Option<String>, ValidationError> {
        if self.conflicting {
            return self.text().map(|_| None);
        }
        let text = String::from_utf8_lossy(self.value.as_deref().unwrap_or_default());
        Ok(Some(text.into_owned()).filter(|text| !text.trim().is_empty()))
    }

    /// Parses a required field. A missing one is parsed as an empty text, so that the error says
    /// what is expected.
    fn required<T, E: Display>(
        &self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ValidationError> {
        let (kind, text) = match self.text()? {
            Some(text) => (ValidationErrorKind::Invalid, text),
            None => (ValidationErrorKind::Missing, ""),
        };
        parse(text).map_err(|error| self.error(kind, error.to_string()))
    }

    fn error(&self, kind: ValidationErrorKind, expected: String) -> ValidationError {
        ValidationError {
            field: self.name,
            kind,
            expected,
        }
    }
}

/// Parses an address. A leading space is taken for an unescaped plus sign.
fn address(text: &str) -> Result<Address, domain::address::InvalidAddress> {
    for scheme in ["whatsapp:", ""] {
        let number = text
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix(' '));
        if let Some(number) = number
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Address::parse(&format!("{scheme}+{number}"));
        }
    }
    Address::parse(text)
}

#[cfg(test)]
mod tests;
