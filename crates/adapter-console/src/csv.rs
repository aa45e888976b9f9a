//! Lists as CSV.

use std::borrow::Cow;

use actix_web::web::Bytes;

/// Writes rows as CSV. Values come from outside, and spreadsheet programs take cells that begin
/// with certain characters for formulas, so those get an apostrophe in front.
pub(crate) struct CsvRows(csv::Writer<Vec<u8>>);

impl CsvRows {
    /// Begins without rows.
    pub(crate) fn new() -> Self {
        Self(csv::Writer::from_writer(Vec::new()))
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| neutralised(cell.as_ref()).into_owned());
        // Fails only if rows differ in length, which they do not, or the memory cannot be written.
        let _ = self.0.write_record(cells);
    }

    /// Returns the bytes of all rows.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0.into_inner().unwrap_or_default().into()
    }
}

/// Puts an apostrophe in front of what a spreadsheet would calculate.
fn neutralised(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
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
