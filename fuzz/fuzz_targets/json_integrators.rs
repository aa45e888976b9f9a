//! All endpoints of all integrators: any body is parsed or refused, each element alone, and what is
//! kept of it fits a store.
#![no_main]

use adapter_integrators::all;
use domain::ReportFields;
use libfuzzer_sys::fuzz_target;
use ports::Headers;

struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

fuzz_target!(|body: &[u8]| {
    for integrator in all() {
        let others = integrator.other_endpoints().iter();
        for endpoint in others.chain([integrator.report_endpoint()]) {
            let Ok(parsed) = integrator.parse(endpoint, &NoHeaders, body) else {
                continue;
            };
            for report in &parsed.reports {
                assert!(!report.fields.are_too_long());
                assert!(ReportFields::from_json(report.fields.as_json()).is_ok());
            }
            for invalid in &parsed.invalid {
                let fields = integrator.redacted_fields(endpoint, body, Some(invalid.index));
                assert!(fields.iter().count() <= 50);
            }
        }
    }
});
