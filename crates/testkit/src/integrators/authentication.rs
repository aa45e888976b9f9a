//! Credentials: the whole value counts, and a repeated header is no credential.

use domain::{Address, ChannelId, CredentialId, MessageSid};
use ports::integrator::{AuthContext, AuthResult, TestReport};
use uuid::Uuid;

use super::{EndpointUnderTest, Lines};
use crate::builders::server_secret;

const USER: &str = "user";

const CREDENTIAL: CredentialId = CredentialId(Uuid::from_u128(7));

const PASSWORD: &str = "a pass word:  with blanks, and ünicode";

pub(super) fn check(endpoint: EndpointUnderTest<'_>) {
    let valid = authorization(endpoint, PASSWORD);
    let accepted = matches!(result(endpoint, &valid), AuthResult::Authenticated { .. });
    assert!(accepted, "the right password is refused");
    let refused = |lines: &[(&'static str, String)], why: &str| {
        let result = result(endpoint, lines);
        let accepted = matches!(result, AuthResult::Authenticated { .. });
        assert!(!accepted, "{why} is accepted");
    };
    refused(&[], "a request without credentials");
    refused(
        &[valid.clone(), valid.clone()].concat(),
        "a repeated header",
    );
    for (name, value) in &valid {
        let cut = value.chars().skip(1).collect();
        refused(&[(name, cut)], "a part of the value");
        refused(
            &[(name, format!("Bearer {value}"))],
            "a scheme before the value",
        );
        refused(&[(name, String::new())], "an empty header");
    }
    refused(
        &authorization(endpoint, "another password"),
        "a wrong password",
    );
    refused(
        &authorization(endpoint, PASSWORD.trim_end_matches("ünicode")),
        "a shorter password",
    );
}

/// Authenticates a request with these lines on a channel with one credential.
fn result(endpoint: EndpointUnderTest<'_>, lines: &[(&'static str, String)]) -> AuthResult {
    let channel = ChannelId::parse("1").expect("a channel id");
    let secret = server_secret();
    let user = endpoint.integrator.credential_shape().hashed_user(USER);
    let hash = secret.credential_hash(&channel, user.as_bytes(), PASSWORD.as_bytes());
    let context = AuthContext {
        channel: &channel,
        credentials: &[(CREDENTIAL, hash)],
        secret: &secret,
    };
    let lines = Lines(lines.to_vec());
    endpoint.integrator.authenticate(&lines, context)
}

/// Returns the lines that authenticate a request with a password.
fn authorization(endpoint: EndpointUnderTest<'_>, password: &str) -> Vec<(&'static str, String)> {
    let [sender, recipient] = ["whatsapp:+15550100900", "whatsapp:+15550100001"]
        .map(|address| Address::parse(address).expect("an address"));
    let sid = MessageSid::of_test(CREDENTIAL);
    let report = TestReport {
        sid: &sid,
        sender: &sender,
        recipient: &recipient,
    };
    let request = endpoint
        .integrator
        .test_request(report, (USER, password), None);
    request.authorization
}
