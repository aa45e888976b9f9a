//! Any body is parsed or refused, and what is kept of it fits a store.
#![no_main]

use adapter_integrators::twilio::{form, redacted_fields};
use domain::ReportFields;
use libfuzzer_sys::fuzz_target;
use ports::integrator::ParseError;

fuzz_target!(|body: &[u8]| {
    match form::parse(body, None) {
        Ok(parsed) => {
            assert_eq!(parsed.reports.len(), 1);
            assert!(parsed.ignored.is_empty());
            for report in &parsed.reports {
                assert!(!report.recipient.reveal().contains('\0'));
                assert!(ReportFields::from_json(report.fields.as_json()).is_ok());
            }
        }
        Err(ParseError::Invalid(error)) => assert!(!error.expected.is_empty()),
        Err(ParseError::TooLarge(_)) => assert!(form::fields(body).count() > form::MAX_FIELDS),
    }
    assert!(redacted_fields::masked(body).iter().count() <= 50);
});
