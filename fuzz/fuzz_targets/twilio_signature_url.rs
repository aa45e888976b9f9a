//! Any configured URL has its variants, and a signature over the URL without credentials verifies.
//! The input is the URL, the query of the request and the body, split by lines.
#![no_main]

use adapter_integrators::callback_url::CallbackUrl;
use adapter_integrators::twilio::signature::{Signer, sign, verify};
use domain::PublicUrl;
use domain::crypto::SigningTokens;
use libfuzzer_sys::fuzz_target;
use ports::integrator::SignedRequest;

const PATH: &str = "/social/on/whatsapp/twilio/report/1";

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, query, body) = (line(), line(), line());
    let (Ok(url), Ok(query)) = (std::str::from_utf8(url), std::str::from_utf8(query)) else {
        return;
    };
    let Ok(public_url) = PublicUrl::parse(&format!("https://{url}")) else {
        return;
    };
    let request = SignedRequest {
        public_url: &public_url,
        path: PATH,
        query: Some(query),
        tokens: &SigningTokens::from_iter([(None, "token")]),
    };
    let url = CallbackUrl::new(&public_url, PATH).with_query_of_request(request.query);
    let variants = url.variants(None);
    assert!((2..=6).contains(&variants.len()));
    assert!(variants.contains(&url.without_credentials()));
    for (_, signature) in sign(body, request) {
        assert!(verify(signature.as_bytes(), &Signer::AUTH_TOKEN, body, request, None));
    }
    assert!(!verify(body, &Signer::AUTH_TOKEN, body, request, None));
});
