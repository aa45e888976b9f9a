//! Lists as CSV.

use actix_web::web::Bytes;
use usecases::spreadsheet::spreadsheet_cell;

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

    /// Returns the bytes of all rows.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0.into_inner().unwrap_or_default().into()
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
