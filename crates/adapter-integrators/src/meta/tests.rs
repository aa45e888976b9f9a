//! Signatures of samples, and the verification of the callback URL.

use std::path::PathBuf;

use domain::crypto::ServerSecret;
use domain::{Address, CredentialId, MessageSid};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

use super::*;

struct Lines(Vec<(&'static str, String)>);

impl Headers for Lines {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.iter();
        let line = lines.find(|(each, _)| each.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_bytes())
    }

    fn get_only(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.iter();
        let name = |(each, _): &&(&str, String)| each.eq_ignore_ascii_case(name);
        let (_, value) = lines.find(name)?;
        lines.find(name).is_none().then_some(value.as_bytes())
    }
}

fn signed(signature: &str) -> Lines {
    Lines(vec![("x-hub-signature-256", signature.to_owned())])
}

fn fixture(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/meta");
    std::fs::read(folder.join(file)).unwrap()
}

fn tokens(text: &str) -> SigningTokens {
    SigningTokens::parse(text).unwrap()
}

/// Runs a check at the channel `known`, whose verify token is `example-verify-token`.
fn at_channel<T>(channel: &str, check: impl FnOnce(AuthContext<'_>) -> T) -> T {
    let secret = ServerSecret::parse("an example of a long server secret").unwrap();
    let requested = ChannelId::parse(channel).unwrap();
    let known = ChannelId::parse("known").unwrap();
    let hash = secret.credential_hash(&known, b"", b"example-verify-token");
    let credentials = [(CredentialId(uuid::Uuid::from_u128(1)), hash)];
    check(AuthContext {
        channel: &requested,
        credentials: if requested == known {
            &credentials
        } else {
            &[]
        },
        secret: &secret,
    })
}

#[test]
fn signatures_of_all_samples_hold_and_six_do_not() {
    let sample: Value = serde_json::from_slice(&fixture("signatures.json")).unwrap();
    let secret = sample["app_secret"].as_str().unwrap();
    let holds = |file: &str, signature: &str, tokens: &SigningTokens| {
        let headers = signed(signature);
        let is_plausible = at_channel("known", |context| {
            Meta::new().authenticate(&headers, context) == AuthResult::SignedBody
        });
        is_plausible && Meta::new().body_is_signed(&headers, &fixture(file), tokens)
    };
    let files = sample["files"].as_object().unwrap();
    assert_eq!(files.len(), 9);
    for (file, signature) in files {
        let signature = signature.as_str().unwrap();
        assert!(holds(file, signature, &tokens(secret)), "{file}");
        assert!(holds(
            file,
            &signature.to_uppercase().replace("SHA", "sha"),
            &tokens(secret)
        ));
        let rotated = [
            format!("another-secret {secret}"),
            format!("{secret} another-secret"),
        ];
        assert!(
            rotated
                .iter()
                .all(|both| holds(file, signature, &tokens(both)))
        );
        assert!(!holds(file, signature, &tokens("another-secret")));
        assert!(!holds(file, signature, &SigningTokens::default()));
    }
    let wrong = sample["must_fail"].as_array().unwrap();
    assert_eq!(wrong.len(), 6);
    for case in wrong {
        let (file, signature) = (case["file"].as_str(), case["signature"].as_str());
        assert!(
            !holds(file.unwrap(), signature.unwrap(), &tokens(secret)),
            "{case}"
        );
    }
}

#[test]
fn empty_secret_matches_nothing() {
    let body = b"{}";
    let empty = SigningTokens::from_iter([(None, "")]);
    let signature = signature::sign(body, &empty).unwrap();
    let headers = signed(&signature);
    let is_signed = |tokens: &SigningTokens| Meta::new().body_is_signed(&headers, body, tokens);
    assert!(!is_signed(&SigningTokens::default()));
    assert!(!is_signed(&tokens("an-app-secret")));
}

#[rstest]
#[case::no_signature(Lines(Vec::new()), AuthResult::Missing)]
#[case::old_signature_alone(
    Lines(vec![("X-Hub-Signature", "sha1=b6a27757da393a4f5ab9af864e2026a7c5ba92b9".to_owned())]),
    AuthResult::Missing
)]
#[case::malformed(signed("sha256=0g"), AuthResult::Denied)]
#[case::repeated(
    Lines(vec![("X-Hub-Signature-256", format!("sha256={:064}", 1)), ("X-Hub-Signature-256", format!("sha256={:064}", 1))]),
    AuthResult::Denied
)]
#[case::plausible(signed(&format!("sha256={:064}", 1)), AuthResult::SignedBody)]
#[case::wrong_test_credential(
    Lines(vec![("X-Hub-Signature-256", format!("sha256={:064}", 1)), ("X-Receiptd-Test", "guess".to_owned())]),
    AuthResult::Denied
)]
fn head_is_judged_alike_at_every_channel(#[case] headers: Lines, #[case] expected: AuthResult) {
    for channel in ["known", "unknown"] {
        let result = at_channel(channel, |context| {
            Meta::new().authenticate(&headers, context)
        });
        assert_eq!(result, expected, "{channel}");
    }
}

/// Returns the answer to the request of a file.
fn handshake(file: &str) -> Option<VerifiedUrl> {
    let head = String::from_utf8(fixture(file)).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let (_, query) = target.split_once('?').unwrap();
    at_channel("known", |context| Meta::new().verify_url(query, context))
}

#[test]
fn handshake_is_answered_with_its_challenge() {
    let verified = handshake("handshake.txt").unwrap();
    assert_eq!(verified.answer, "1158201444");
    assert_eq!(verified.credential, CredentialId(uuid::Uuid::from_u128(1)));
    assert_eq!(handshake("handshake_wrong_token.txt"), None);
}

#[rstest]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=7&hub.verify_token=example-verify-token",
    true
)]
#[case(
    "known",
    "hub%2Emode=subscribe&hub.verify_token=example%2dverify-token&hub.challenge=a.B_-",
    true
)]
#[case(
    "unknown",
    "hub.mode=subscribe&hub.challenge=7&hub.verify_token=example-verify-token",
    false
)]
#[case("known", "", false)]
#[case(
    "known",
    "hub.mode=unsubscribe&hub.challenge=7&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.challenge=7&hub.verify_token=example-verify-token",
    false
)]
#[case("known", "hub.mode=subscribe&hub.challenge=7", false)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=%3Cb%3E&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=%0d%0a&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=%ff&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=7&hub.challenge=8&hub.verify_token=example-verify-token",
    false
)]
#[case(
    "known",
    "hub.mode=subscribe&hub.challenge=7&hub.verify_token=x&hub.verify_token=example-verify-token",
    false
)]
fn only_exact_handshakes_are_answered(
    #[case] channel: &str,
    #[case] query: &str,
    #[case] answered: bool,
) {
    let verified = at_channel(channel, |context| Meta::new().verify_url(query, context));
    assert_eq!(verified.is_some(), answered);
}

#[test]
fn test_request_is_authenticated_and_signed() {
    let public_url = PublicUrl::parse("https://reports.example.com").unwrap();
    let signed = SignedRequest {
        public_url: &public_url,
        path: "/r",
        query: None,
        tokens: &tokens("old-app-secret new-app-secret"),
    };
    let [sender, recipient] = ["15005550006", "15005550001"].map(|it| Address::parse(it).unwrap());
    let sid = MessageSid::parse("wamid.1").unwrap();
    let report = TestReport {
        sid: &sid,
        sender: &sender,
        recipient: &recipient,
    };
    let credentials = ("test", "example-verify-token");
    let request = Meta::new().test_request(report, credentials, Some(signed));
    let headers = Lines(request.authorization);
    let result = at_channel("known", |context| {
        Meta::new().authenticate(&headers, context)
    });
    assert!(
        matches!(result, AuthResult::Authenticated { .. }),
        "{result:?}"
    );
    let verify = |body| Meta::new().verify_signature(&headers, body, signed, None);
    assert_eq!(verify(&request.body), Ok(()));
    assert_eq!(verify(b"{}").map_err(|mismatch| mismatch.signed), Err(true));
    let meta = Meta::new();
    let parsed = meta
        .parse(meta.report_endpoint(), &headers, &request.body)
        .unwrap();
    assert_eq!(parsed.reports[0].sid, sid);
    assert_eq!(parsed.reports[0].sender, Some(sender));
}

proptest! {
    #[test]
    fn only_the_exact_bytes_are_signed(
        body: Vec<u8>,
        other: Vec<u8>,
        secret in "[!-9;-~]{8,40}",
        header: String,
    ) {
        let tokens = tokens(&secret);
        let signature = signature::sign(&body, &tokens).unwrap();
        let is_signed = |body: &[u8]| Meta::new().body_is_signed(&signed(&signature), body, &tokens);
        prop_assert!(is_signed(&body));
        prop_assert_eq!(is_signed(&other), body == other);
        prop_assert!(!Meta::new().body_is_signed(&signed(&header), &body, &tokens));
    }

    #[test]
    fn no_query_panics_and_no_answer_has_markup(
        challenge in ".{0,140}",
        rest in "[ -~]{0,40}",
    ) {
        let query = format!("hub.mode=subscribe&hub.verify_token=example-verify-token&hub.challenge={challenge}&{rest}");
        let verified = at_channel("known", |context| Meta::new().verify_url(&query, context));
        if let Some(verified) = verified {
            prop_assert!(verified.answer.len() <= MAX_CHALLENGE);
            prop_assert!(!verified.answer.contains(['<', '>', '&', '"', '\'', '\r', '\n']));
        }
    }
}
