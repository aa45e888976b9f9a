//! Shows the documents of the API as text for people.

use anyhow::Result;
use domain::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::output;

/// A column: its header and where its value is; see [`text`].
pub type Column = (&'static str, &'static str);

/// Prints a list: as JSON, or as a table with the place of the next page. `empty` is printed
/// instead of a table without rows.
pub fn list(json: bool, list: &impl Serialize, columns: &[Column], empty: &str) -> Result<()> {
    if json {
        return output::json(list);
    }
    let list = serde_json::to_value(list)?;
    table(list.get("items").unwrap_or(&list), columns, empty)?;
    if let Some(next) = list.get("next").and_then(Value::as_str) {
        output::hint(format!("There are more: --cursor {next}"));
    }
    Ok(())
}

/// Prints documents as a table.
pub fn table(items: &impl Serialize, columns: &[Column], empty: &str) -> Result<()> {
    print_table(&serde_json::to_value(items)?, columns, empty);
    Ok(())
}

/// Prints documents as a table without the columns in which all rows are empty.
pub fn compact_table(items: &impl Serialize, columns: &[Column], empty: &str) -> Result<()> {
    let items = serde_json::to_value(items)?;
    print_table(&items, &filled(&items, columns), empty);
    Ok(())
}

/// Returns the columns that are not empty in all rows.
fn filled(items: &Value, columns: &[Column]) -> Vec<Column> {
    let items = || items.as_array().into_iter().flatten();
    let is_filled = |path| items().any(|item| !text(item, path).is_empty());
    let columns = columns.iter().copied();
    columns.filter(|(_, path)| is_filled(path)).collect()
}

fn print_table(items: &Value, columns: &[Column], empty: &str) {
    let row = |item| columns.iter().map(|(_, path)| text(item, path)).collect();
    let header = columns.iter().map(|(header, _)| *header);
    let items = items.as_array().into_iter().flatten();
    output::table(header, items.map(row), empty);
}

/// Prints a document: as JSON, or as a title with fields.
pub fn show(json: bool, title: &str, document: &impl Serialize, fields: &[Column]) -> Result<()> {
    if json {
        return output::json(document);
    }
    let document = serde_json::to_value(document)?;
    let fields = fields
        .iter()
        .map(|(name, path)| (*name, text(&document, path)));
    output::fields(title, fields);
    Ok(())
}

/// Formats a value of a document. `path` consists of field names and `last` for the last element,
/// joined by dots. After a `|` it names the text of an absent value, or the texts of `true` and
/// `false`: `error.code`, `last_used|never`, `enabled|enabled:disabled`.
pub fn text(document: &Value, path: &str) -> String {
    let (path, otherwise) = path.split_once('|').unwrap_or((path, ""));
    let (yes, no) = otherwise.split_once(':').unwrap_or(("yes", otherwise));
    let value = path
        .split('.')
        .try_fold(document, |value, name| match value {
            Value::Array(items) if name == "last" => items.last(),
            value => value.get(name),
        });
    match value {
        None | Some(Value::Null) => otherwise.to_owned(),
        Some(Value::Bool(true)) => yes.to_owned(),
        Some(Value::Bool(false)) => no.to_owned(),
        Some(Value::String(text)) if Timestamp::parse(text).is_ok() => output::time(text),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => otherwise.to_owned(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            texts.join(", ")
        }
        Some(Value::Array(items)) => items.len().to_string(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn column_that_is_empty_in_all_rows_is_dropped() {
        let columns = [("A", "a"), ("B", "b"), ("C", "c")];
        let items = json!([{"a": 1, "b": null}, {"a": 2, "b": "x", "c": ""}]);
        assert_eq!(filled(&items, &columns), [("A", "a"), ("B", "b")]);
        assert_eq!(filled(&json!([]), &columns), []);
    }

    #[rstest]
    #[case("name", "Support")]
    #[case("error.code", "63016")]
    #[case("error.title", "")]
    #[case("used|never", "never")]
    #[case("at", "2026-11-22T18:06:19Z")]
    #[case("enabled|enabled:disabled", "disabled")]
    #[case("contradicted", "yes")]
    #[case("senders|any", "any")]
    #[case("types", "sent, read")]
    #[case("attempts", "2")]
    #[case("attempts.last.status", "503")]
    fn text_formats_a_value_at_a_path(#[case] path: &str, #[case] expected: &str) {
        let document = json!({
            "name": "Support", "error": {"code": "63016"}, "used": null,
            "at": "2026-11-22T18:06:19.123456Z", "enabled": false, "contradicted": true,
            "senders": [], "types": ["sent", "read"], "attempts": [{}, {"status": 503}],
        });
        assert_eq!(text(&document, path), expected);
    }
}
