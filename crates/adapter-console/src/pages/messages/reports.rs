//! The reports of a message, as its page shows them.

use std::collections::HashMap;

use domain::{CredentialId, LoggedReport, MessageState, Provenance};
use ports::ChannelWithCredentials;
use usecases::messages::redacted_fields::shown_fields;

use super::explain::{effect_look, why};
use crate::html::Html;
use crate::time::Times;

/// A report of the message.
pub(crate) struct ReportRow {
    pub(crate) revision: i64,
    pub(crate) arrived: Html,
    pub(crate) word: String,
    pub(crate) effect: Html,
    pub(crate) why: String,
    pub(crate) error: Option<String>,
    pub(crate) error_text: Option<String>,
    pub(crate) to: String,
    /// When it happened, by the integrator's clock.
    pub(crate) happened: Option<Html>,
    pub(crate) from: Option<String>,
    pub(crate) credential: String,
    pub(crate) token: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
}

/// Returns the reports in the order in which they were recorded.
pub(crate) fn rows(
    reports: &[LoggedReport],
    channel: Option<&ChannelWithCredentials>,
    times: &Times,
    reveal: bool,
) -> Vec<ReportRow> {
    let credentials = names(channel);
    let mut before = MessageState::default();
    let row = |logged: &LoggedReport| {
        let report = &logged.report;
        let why = why(&report.status, logged.effect, &before);
        before.absorb(report);
        let error = report.error.as_ref();
        let address = |address: &domain::Address| {
            if reveal {
                address.reveal().to_owned()
            } else {
                address.to_string()
            }
        };
        let text = error.map(|error| {
            if reveal {
                error.text.reveal().to_owned()
            } else {
                error.text.to_string()
            }
        });
        ReportRow {
            revision: logged.revision,
            arrived: times.exact(report.arrived_at),
            word: if reveal {
                report.status.as_str().to_owned()
            } else {
                report.status.to_string()
            },
            effect: effect_look(logged.effect).chip(),
            why,
            error: error.map(|error| error.code.to_string()),
            error_text: text.filter(|text| !text.is_empty()),
            to: address(&report.recipient),
            happened: report.happened_at.map(|at| times.exact(at)),
            from: report.sender.as_ref().map(address),
            credential: credentials
                .get(&report.credential)
                .cloned()
                .unwrap_or_else(|| {
                    if report.provenance() == Provenance::Reconciled {
                        "none: reconciliation read it from the integrator's records".to_owned()
                    } else if report.key.sid.is_test() {
                        "temporary credential of the test".to_owned()
                    } else {
                        format!("removed credential {}", report.credential)
                    }
                }),
            token: report.idempotency_token.clone(),
            fields: shown_fields(&report.fields, reveal),
        }
    };
    reports.iter().map(row).collect()
}

/// Returns the labels or users of the credentials of a channel.
fn names(channel: Option<&ChannelWithCredentials>) -> HashMap<CredentialId, String> {
    let credentials = channel.iter().flat_map(|channel| &channel.credentials);
    let name = |credential: &domain::Credential| {
        let label = credential.label.as_ref();
        let user = &credential.user;
        let name = label.map_or_else(|| user.to_string(), |label| format!("{label} ({user})"));
        (credential.id, name)
    };
    credentials.map(name).collect()
}
