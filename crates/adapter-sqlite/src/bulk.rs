//! Writing many rows with one text.
//!
//! A connection has a thread of its own, and each statement costs two switches of threads: on a
//! loaded machine more than writing some rows. So all statements of a batch, and its commit, are
//! sent as one text.
//!
//! Values are bound one by one: taking them from one JSON text cost the engine twice as much as
//! writing them (measured on batches of 256 reports). There is a text for each of few numbers of
//! rows, so that each is prepared once; rows without values are skipped.

use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, SqliteConnection};

const ROWS: [usize; 11] = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, MAX_ROWS];

/// How many rows of each table one text can write.
pub(crate) const MAX_ROWS: usize = 128;

/// What a text ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The transaction stays open.
    Open,
    /// A commit: the transaction is on disk when the text was executed.
    Commit,
}

/// The same statements for each number of rows.
pub(crate) struct BulkTexts {
    /// How many values a row of all tables together has.
    columns: usize,
    texts: [BulkText; ROWS.len()],
}

struct BulkText {
    rows: usize,
    open: String,
    committing: String,
}

impl BulkTexts {
    /// `statements` returns the statements for a number of rows.
    pub(crate) fn new(columns: usize, statements: fn(usize) -> String) -> Self {
        let texts = ROWS.map(|rows| {
            let open = statements(rows);
            BulkText {
                rows,
                committing: format!("{open}; commit"),
                open,
            }
        });
        Self { columns, texts }
    }

    /// Writes at most [`MAX_ROWS`] rows. `bind` gets the number of rows that the text has, and
    /// binds their values; those that it does not bind at the end are null.
    pub(crate) async fn execute(
        &'static self,
        connection: &mut SqliteConnection,
        rows: usize,
        end: End,
        bind: impl FnOnce(&mut SqliteArguments, usize) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        let Some(text) = self.texts.iter().find(|text| text.rows >= rows) else {
            return Err(sqlx::Error::Encode("more rows than any text has".into()));
        };
        let mut values = SqliteArguments::default();
        values.reserve(text.rows * self.columns, 0);
        bind(&mut values, text.rows).map_err(sqlx::Error::Encode)?;
        let text = match end {
            End::Open => text.open.as_str(),
            End::Commit => text.committing.as_str(),
        };
        sqlx::query_with(text, values).execute(connection).await?;
        Ok(())
    }
}

/// Returns `(?, ?), (?, ?)`.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}
