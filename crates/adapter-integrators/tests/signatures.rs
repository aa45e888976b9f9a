//! Signatures: the vectors of Twilio's own helper libraries, and properties.

use adapter_integrators::callback_url::CallbackUrl;
use adapter_integrators::twilio::signature::{Signer, verify};
use domain::PublicUrl;
use domain::crypto::SigningTokens;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::{Headers, SignedRequest, UserAndPassword};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;
use traffic::signature::sign;

const VECTORS: &str = include_str!("fixtures/twilio/signature_vectors.json");
const SHARED_KEYS: &str = include_str!("fixtures/twilio/signature_shared_key.json");
const PATH: &str = "/social/on/whatsapp/twilio/report/1";

fn tokens(auth_token: &str) -> SigningTokens {
    SigningTokens::from_iter([(None, auth_token)])
}

/// Verifies a request that is signed with the auth token.
fn holds(
    signature: &[u8],
    body: &[u8],
    request: SignedRequest<'_>,
    presented: Option<&UserAndPassword>,
) -> bool {
    verify(signature, &Signer::AUTH_TOKEN, body, request, presented)
}

/// The header lines of a case.
struct Lines(Vec<(String, String)>);

impl Headers for Lines {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.iter();
        let line = lines.find(|(each, _)| each.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_bytes())
    }

    fn get_only(&self, name: &str) -> Option<&[u8]> {
        let lines = self.0.iter();
        let mut values = lines.filter(|(each, _)| each.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_bytes())
    }
}

fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    fields.join("&")
}

/// The path of a URL, so that the vectors' URLs are whole callback URLs.
fn path_of(url: &str) -> &str {
    let (url, _query) = url.split_once('?').expect("every vector has a query");
    let (_scheme, rest) = url.split_once("://").expect("every vector has a scheme");
    rest.find('/')
        .and_then(|at| rest.get(at..))
        .expect("every vector has a path")
}

#[test]
fn the_vectors_of_the_helper_libraries_hold() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.len() >= 60, "{}", vectors.len());
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let url = PublicUrl::parse(text("url")).unwrap();
        let fields = vector["params"].as_array().unwrap().iter();
        let fields: Vec<_> = fields
            .map(|field| (field[0].as_str().unwrap(), field[1].as_str().unwrap()))
            .collect();
        let body = form(fields.iter().copied());
        let request = SignedRequest {
            public_url: &url,
            path: path_of(url.reveal()),
            query: None,
            tokens: &tokens(text("auth_token")),
        };
        let is_valid = holds(text("signature").as_bytes(), body.as_bytes(), request, None);
        assert_eq!(is_valid, vector["valid"], "{vector}");
        if let Some(signed_url) = vector["signed_url"].as_str() {
            assert_eq!(
                sign(text("auth_token"), signed_url, &fields),
                text("signature")
            );
        }
    }
}

#[test]
fn another_token_body_path_or_query_does_not_verify() {
    let public_url = PublicUrl::parse("https://example.com").unwrap();
    let signature = sign(
        "auth-token",
        &format!("https://example.com{PATH}?a=1"),
        &[("b", "2"), ("c", "3")],
    );
    let request = SignedRequest {
        public_url: &public_url,
        path: PATH,
        query: Some("a=1"),
        tokens: &tokens("auth-token"),
    };
    let verifies = |body: &[u8], request| holds(signature.as_bytes(), body, request, None);
    let other = tokens("other-token");
    assert!(verifies(b"c=3&b=2", request));
    assert!(!verifies(b"b=2&c=4", request));
    assert!(!verifies(b"b=2", request));
    assert!(!verifies(
        b"b=2&c=3",
        SignedRequest {
            tokens: &other,
            ..request
        }
    ));
    assert!(!verifies(
        b"b=2&c=3",
        SignedRequest {
            path: "/other",
            ..request
        }
    ));
    assert!(!verifies(
        b"b=2&c=3",
        SignedRequest {
            query: None,
            ..request
        }
    ));
}

#[rstest]
#[case("https://example.com")]
#[case("https://example.com?tenant=7")]
fn body_that_is_no_form_is_signed_by_its_hash_in_the_query(#[case] public_url: &str) {
    const PATH: &str = "/social/on/whatsapp/twilio/events/1";
    // The SHA-256 of `[]`.
    const QUERY: &str =
        "bodySHA256=4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
    let public_url = PublicUrl::parse(public_url).unwrap();
    let signature = sign(
        "auth-token",
        &format!("https://example.com{PATH}?{QUERY}"),
        &[],
    );
    let tokens = tokens("auth-token");
    let verifies = |body: &[u8], query: &str| {
        let request = SignedRequest {
            public_url: &public_url,
            path: PATH,
            query: Some(query),
            tokens: &tokens,
        };
        holds(signature.as_bytes(), body, request, None)
    };
    assert!(verifies(b"[]", QUERY));
    assert!(!verifies(b"[ ]", QUERY));
    assert!(!verifies(b"[]", "bodySHA256="));
    assert!(!verifies(b"[]", &QUERY[..QUERY.len() - 2]));
    assert!(!verifies(b"[]", &format!("{QUERY}00")));
    assert!(!verifies(b"[]", &format!("{QUERY}&a=1")));
}

#[test]
fn a_part_of_a_signature_is_none() {
    let public_url = PublicUrl::parse("https://example.com").unwrap();
    let request = SignedRequest {
        public_url: &public_url,
        path: PATH,
        query: None,
        tokens: &tokens("auth-token"),
    };
    let signature = sign("auth-token", &format!("https://example.com{PATH}"), &[]);
    assert!(holds(signature.as_bytes(), b"", request, None));
    for part in ["", "=", &signature[..4], &signature[..24], &signature[..27]] {
        assert!(!holds(part.as_bytes(), b"", request, None), "{part}");
    }
}

#[test]
fn shared_key_and_algorithm_are_those_that_the_request_names() {
    let sample: Value = serde_json::from_str(SHARED_KEYS).unwrap();
    let params = sample["params"].as_object().unwrap();
    let body = form(
        params
            .iter()
            .map(|(name, it)| (name.as_str(), it.as_str().unwrap())),
    );
    let keys = sample["shared_keys"].as_object().unwrap();
    let keys = keys
        .iter()
        .map(|(id, key)| (Some(id.as_str()), key.as_str().unwrap()));
    let auth_token = (None, sample["auth_token"].as_str().unwrap());
    let tokens: SigningTokens = keys.chain([auth_token]).collect();
    let public_url = PublicUrl::parse(sample["url"].as_str().unwrap()).unwrap();
    let request = SignedRequest {
        public_url: &public_url,
        path: path_of_plain(public_url.reveal()),
        query: None,
        tokens: &tokens,
    };
    let cases = sample["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let lines = case["headers"].as_object().unwrap().iter();
        let lines = lines.map(|(name, it)| (name.clone(), it.as_str().unwrap().to_owned()));
        let headers = Lines(lines.collect());
        let signature = headers.get("X-Twilio-Signature").unwrap();
        let signer = Signer::of(&headers);
        let is_valid =
            signer.is_some_and(|signer| verify(signature, &signer, body.as_bytes(), request, None));
        assert_eq!(is_valid, case["valid"] == true, "{case}");
    }
}

/// The path of a URL without a query.
fn path_of_plain(url: &str) -> &str {
    let (_, path) = url.split_once(":18446").expect("the sample has this port");
    path
}

#[rstest]
#[case("key=a,algorithm=HMAC_SHA256", true)]
#[case("algorithm=HMAC_SHA1, key=a", true)]
#[case("", false)]
#[case("key=a", false)]
#[case("algorithm=HMAC_SHA256", false)]
#[case("key=,algorithm=HMAC_SHA256", false)]
#[case("key=a,key=b,algorithm=HMAC_SHA256", false)]
#[case("key=a,algorithm=HMAC_SHA256,version=2", false)]
#[case("key=a,algorithm=hmac_sha256", false)]
#[case("key=a;algorithm=HMAC_SHA256", false)]
#[case("key=\u{fffd}a,algorithm", false)]
fn signature_settings_are_exact(#[case] settings: &str, #[case] valid: bool) {
    let line = || {
        let name = "x-twilio-webhooks-signature-settings".to_owned();
        (name, settings.to_owned())
    };
    assert_eq!(Signer::of(&Lines(vec![line()])).is_some(), valid);
    assert_eq!(Signer::of(&Lines(vec![line(), line()])), None);
    assert_eq!(Signer::of(&Lines(Vec::new())), Some(Signer::AUTH_TOKEN));
}

fn presented(user: &str, password: &str) -> UserAndPassword {
    UserAndPassword::new(format!("{user}:{password}")).expect("it has a colon")
}

fn any_fields() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec((".{0,8}", ".{0,12}"), 0..10)
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = fields.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

proptest! {
    #[test]
    fn signing_any_variant_of_the_url_verifies(
        scheme in "https?",
        user_info in "([a-z]{1,8}(:[!-.0-~&&[^@/?#]]{0,8})?@)?",
        host in "[a-zA-Z0-9.-]{1,20}|\\[2001:db8::[0-9]\\]",
        port in "(:[0-9]{1,5})?",
        prefix in "(/[a-z]{0,5}){0,3}",
        query in "(\\?[a-z=&?/]{0,10})?",
        fragment in "(#[a-z=&#?/]{0,10})?",
        request_query in proptest::option::of("[a-z=&?/]{0,10}"),
        whole: bool,
        token in ".{0,40}",
        (user, password) in ("[^:]{0,10}", ".{0,20}"),
        fields in any_fields(),
    ) {
        let path = if whole { PATH } else { "" };
        let configured = format!("{scheme}://{user_info}{host}{port}{prefix}{path}{query}{fragment}");
        let public_url = PublicUrl::parse(&configured).unwrap();
        let request = SignedRequest {
            public_url: &public_url,
            path: PATH,
            query: request_query.as_deref(),
            tokens: &tokens(&token),
        };
        let presented = presented(&user, &password);
        let fields = pairs(&fields);
        let body = form(fields.iter().copied());
        let variants = CallbackUrl::new(&public_url, PATH)
            .with_query_of_request(request.query)
            .variants(Some(&presented));
        prop_assert!((2..=9).contains(&variants.len()));
        for url in variants {
            prop_assert!(!url.contains('#') || password.contains('#') || user.contains('#'));
            prop_assert!(url.contains(PATH));
            let signature = sign(&token, &url, &fields);
            prop_assert!(holds(signature.as_bytes(), body.as_bytes(), request, Some(&presented)));
        }
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter(
        (fields, shuffled) in any_fields().prop_flat_map(|fields| (Just(fields.clone()), Just(fields).prop_shuffle())),
    ) {
        let public_url = PublicUrl::parse("https://example.com").unwrap();
        let request = SignedRequest { public_url: &public_url, path: PATH, query: None, tokens: &tokens("auth-token") };
        let signature = sign("auth-token", &format!("https://example.com{PATH}"), &pairs(&fields));
        let body = form(pairs(&shuffled));
        prop_assert!(holds(signature.as_bytes(), body.as_bytes(), request, None));
    }

    #[test]
    fn no_url_and_no_signature_panics(
        url in "https?://[!-~]{1,60}",
        path in "/[!-~]{0,20}",
        query in proptest::option::of("[ -~]{0,20}"),
        signature: Vec<u8>,
        body: Vec<u8>,
    ) {
        if let Ok(public_url) = PublicUrl::parse(&url) {
            let request = SignedRequest { public_url: &public_url, path: &path, query: query.as_deref(), tokens: &tokens("auth-token") };
            prop_assert!(!holds(&signature, &body, request, None));
        }
    }
}
