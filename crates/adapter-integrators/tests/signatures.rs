//! Signatures: the vectors of Twilio's own helper libraries, and properties.

use adapter_integrators::callback_url::CallbackUrl;
use adapter_integrators::twilio::signature::verify;
use domain::PublicUrl;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::{SignedRequest, UserAndPassword};
use proptest::prelude::*;
use serde_json::Value;
use traffic::signature::sign;

const VECTORS: &str = include_str!("fixtures/twilio/signature_vectors.json");
const PATH: &str = "/social/on/whatsapp/twilio/report/1";

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
            token: text("auth_token"),
        };
        let holds = verify(text("signature").as_bytes(), body.as_bytes(), request, None);
        assert_eq!(holds, vector["valid"], "{vector}");
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
        "token",
        &format!("https://example.com{PATH}?a=1"),
        &[("b", "2"), ("c", "3")],
    );
    let request = SignedRequest {
        public_url: &public_url,
        path: PATH,
        query: Some("a=1"),
        token: "token",
    };
    let verifies = |body: &[u8], request| verify(signature.as_bytes(), body, request, None);
    assert!(verifies(b"c=3&b=2", request));
    assert!(!verifies(b"b=2&c=4", request));
    assert!(!verifies(b"b=2", request));
    assert!(!verifies(
        b"b=2&c=3",
        SignedRequest {
            token: "other",
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

#[test]
fn a_part_of_a_signature_is_none() {
    let public_url = PublicUrl::parse("https://example.com").unwrap();
    let request = SignedRequest {
        public_url: &public_url,
        path: PATH,
        query: None,
        token: "token",
    };
    let signature = sign("token", &format!("https://example.com{PATH}"), &[]);
    assert!(verify(signature.as_bytes(), b"", request, None));
    for part in ["", "=", &signature[..4], &signature[..24], &signature[..27]] {
        assert!(!verify(part.as_bytes(), b"", request, None), "{part}");
    }
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
            token: &token,
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
            prop_assert!(verify(signature.as_bytes(), body.as_bytes(), request, Some(&presented)));
        }
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter(
        (fields, shuffled) in any_fields().prop_flat_map(|fields| (Just(fields.clone()), Just(fields).prop_shuffle())),
    ) {
        let public_url = PublicUrl::parse("https://example.com").unwrap();
        let request = SignedRequest { public_url: &public_url, path: PATH, query: None, token: "token" };
        let signature = sign("token", &format!("https://example.com{PATH}"), &pairs(&fields));
        let body = form(pairs(&shuffled));
        prop_assert!(verify(signature.as_bytes(), body.as_bytes(), request, None));
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
            let request = SignedRequest { public_url: &public_url, path: &path, query: query.as_deref(), token: "token" };
            prop_assert!(!verify(&signature, &body, request, None));
        }
    }
}
