//! Any body is read or refused, and what is kept of it fits a store.
#![no_main]

use adapter_integrators::twilio::{form, redacted_fields};
use domain::ReportFields;
use libfuzzer_sys::fuzz_target;
use ports::integrator::ParseResult;

fuzz_target!(|body: &[u8]| {
    match form::parse(body, None) {
        ParseResult::Reports(reports) => {
            assert_eq!(reports.len(), 1);
            for report in &reports {
                let kept = report.fields.iter().flat_map(|(name, value)| [name, value]);
                let addresses = [report.recipient.reveal(), report.sender.reveal()];
                assert!(kept.chain(addresses).all(|text| !text.contains('\0')));
                assert!(ReportFields::from_json(&report.fields.to_json()).is_ok());
            }
        }
        ParseResult::Invalid(defect) => assert!(!defect.expected.is_empty()),
        ParseResult::TooManyFields => assert!(form::fields(body).count() > form::MAX_FIELDS),
        ParseResult::Ignored(_) => panic!("Twilio sends nothing that is to be ignored"),
    }
    assert!(redacted_fields::masked(body).iter().count() <= 50);
});
