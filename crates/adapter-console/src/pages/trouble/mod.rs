//! Troubles: what is open, snoozed and resolved, and the settings of the rules.

pub(crate) mod csv;
pub(crate) mod list;
pub(crate) mod settings;
pub(crate) mod snooze;
mod subject;

use domain::trouble::TroubleId;
use usecases::trouble::TroubleError;

use crate::error::PageError;

pub(crate) use subject::Subjects;

/// The path of the page.
pub(crate) const PATH: &str = "/console/trouble";

/// Parses the id in a path. A text that is not an id names nothing.
fn trouble_id(text: &str) -> Result<TroubleId, PageError> {
    text.parse()
        .map_err(|_| PageError::NotFound("such trouble".to_owned()))
}

impl From<TroubleError> for PageError {
    fn from(error: TroubleError) -> Self {
        match error {
            TroubleError::NoSuchTrouble(id) => Self::NotFound(format!("trouble {id}")),
            TroubleError::NoSuchChannel(id) => Self::NotFound(format!("channel {id}")),
            TroubleError::Resolved(_) => Self::Conflict(error.to_string()),
            TroubleError::Snooze(_) => Self::Invalid(error.to_string()),
            TroubleError::Store(error) => Self::Store(error),
        }
    }
}
