//! Lists as CSV.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use domain::access::AuditAction;
use usecases::access::audit::Action;
use usecases::spreadsheet::spreadsheet_cell;

use crate::console::Console;
use crate::error::PageError;
use crate::visit::Visit;

/// Pages of an export at most, so that it fits into memory.
pub(crate) const MAX_PAGES: usize = 100;

/// Fields of queries that select nothing of a list, or are personal data.
const UNAUDITED: [&str; 3] = ["after", "done", "to"];

/// Writes rows as CSV, in which no cell is a formula.
pub(crate) struct CsvRows(csv::Writer<Vec<u8>>);

impl CsvRows {
    /// Begins without rows.
    pub(crate) fn new() -> Self {
        Self(csv::Writer::from_writer(Vec::new()))
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| spreadsheet_cell(cell.as_ref()).into_owned());
        // Fails only if rows differ in length, which they do not, or the memory cannot be written.
        let _ = self.0.write_record(cells);
    }

    /// Returns them as a file with a name.
    pub(crate) fn download(self, name: &str) -> HttpResponse {
        head(name).body(self.into_bytes())
    }

    /// Returns the bytes of all rows.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0.into_inner().unwrap_or_default().into()
    }
}

/// Begins the answer with a file of this name.
pub(crate) fn head(name: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ));
    answer
}

/// Adds an export to the audit log before it is made, with its filter but without a recipient.
pub(crate) async fn audit(
    console: &Console,
    visit: &Visit,
    exported: &str,
) -> Result<(), PageError> {
    let mut details = "masked, as CSV".to_owned();
    for (name, value) in visit.query.iter() {
        if !UNAUDITED.contains(&name) && !value.is_empty() {
            // Writing into a `String` cannot fail.
            let _ = write!(details, "; {name}={value}");
        }
    }
    if visit.query.get("to").is_some() {
        details.push_str("; of one recipient");
    }
    let action = Action::new(AuditAction::DataExport).on(exported);
    let audit = &console.state.access.audit;
    let actor = visit.viewer.actor();
    console
        .run(audit.before(&actor, action.saying(&details)))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        let mut rows = CsvRows::new();
        rows.row(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain, \"quoted\""]);
        let text = rows.into_bytes();
        let text = std::str::from_utf8(&text).unwrap();
        assert_eq!(
            text,
            "'=1+1,'+1,'-1,'@SUM(A1),'\t=1,\"plain, \"\"quoted\"\"\"\n"
        );
    }
}
