//! Authentication, the callback URL, and test requests.

use crate::credentials::matching;
use domain::CredentialId;
use domain::crypto::{CredentialHash, ServerSecret, SigningTokens};
use rstest::rstest;

use super::*;

struct Lines(Vec<(&'static str, Vec<u8>)>);

impl Headers for Lines {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let line = self
            .0
            .iter()
            .find(|(each, _)| each.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_slice())
    }
}

fn authorization(value: &str) -> Lines {
    Lines(vec![("authorization", value.as_bytes().to_vec())])
}

fn id(number: u128) -> CredentialId {
    CredentialId(uuid::Uuid::from_u128(number))
}

/// What a caller proves at a channel with the credentials `user:password` and
/// `user:replacement`.
fn auth_result(header: &str, channel: &str) -> AuthResult {
    let secret = ServerSecret::parse("an example of a long server secret").unwrap();
    let requested = ChannelId::parse(channel).unwrap();
    let known = ChannelId::parse("known").unwrap();
    let credentials = [
        (id(1), secret.credential_hash(&known, b"user", b"password")),
        (
            id(2),
            secret.credential_hash(&known, b"user", b"replacement"),
        ),
    ];
    let context = AuthContext {
        channel: &requested,
        credentials: if requested == known {
            &credentials
        } else {
            &[]
        },
        secret: &secret,
    };
    Twilio::new().authenticate(&authorization(header), context)
}

fn authenticated(credential: u128, presented: &str) -> AuthResult {
    AuthResult::Authenticated {
        credential: id(credential),
        presented: UserAndPassword::new(presented.to_owned()),
    }
}

#[rstest]
#[case::nothing_shown("", "known", AuthResult::Challenge)]
#[case::nothing_shown_to_nobody("", "unknown", AuthResult::Challenge)]
#[case::first_credential(
    "Basic dXNlcjpwYXNzd29yZA==",
    "known",
    authenticated(1, "user:password")
)]
#[case::its_replacement(
    "basic dXNlcjpyZXBsYWNlbWVudA",
    "known",
    authenticated(2, "user:replacement")
)]
#[case::wrong_password("Basic dXNlcjp3cm9uZw==", "known", AuthResult::Denied)]
#[case::wrong_user("Basic YW55OnBhc3N3b3Jk", "known", AuthResult::Denied)]
#[case::no_such_channel("Basic dXNlcjpwYXNzd29yZA==", "unknown", AuthResult::Denied)]
#[case::another_scheme("Bearer dXNlcjpwYXNzd29yZA==", "known", AuthResult::Denied)]
fn caller_is_authenticated_by_its_credentials(
    #[case] header: &str,
    #[case] channel: &str,
    #[case] expected: AuthResult,
) {
    assert_eq!(auth_result(header, channel), expected);
}

#[test]
fn padding_matches_no_credential() {
    assert_eq!(matching(CredentialHash([0; 32]), &[]), None);
}

#[rstest]
#[case::base(
    "https://reports.example.com",
    None,
    "https://reports.example.com/social/on/whatsapp/twilio/report/7#rc=5&rp=ct,rt,5xx"
)]
#[case::credentials(
    "https://reports.example.com:8443/in/",
    Some(("us/er", "p:ä ss@")),
    "https://us%2Fer:p%3A%C3%A4%20ss%40@reports.example.com:8443/in/social/on/whatsapp/twilio/report/7#rc=5&rp=ct,rt,5xx"
)]
#[case::whole_url(
    "https://old:one@reports.example.com/social/on/whatsapp/twilio/report/7?tenant=a#rc=1",
    Some(("new", "two")),
    "https://new:two@reports.example.com/social/on/whatsapp/twilio/report/7?tenant=a#rc=5&rp=ct,rt,5xx"
)]
#[case::credentials_only_if_asked_for(
    "https://old:one@reports.example.com",
    None,
    "https://reports.example.com/social/on/whatsapp/twilio/report/7#rc=5&rp=ct,rt,5xx"
)]
fn callback_url_contains_the_retry_overrides(
    #[case] base: &str,
    #[case] credentials: Option<(&str, &str)>,
    #[case] expected: &str,
) {
    let base = PublicUrl::parse(base).unwrap();
    let channel = ChannelId::parse("7").unwrap();
    assert_eq!(
        Twilio::new().callback_url(&base, &channel, credentials),
        expected
    );
}

#[rstest]
#[case::as_it_came(b"d4c7-99 x", Some("d4c7-99 x"))]
#[case::blank(b"  ", None)]
#[case::broken(b"a\xffb\x00c", Some("a\u{fffd}bc"))]
#[case::long(&[b'x'; 500], Some(concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
)))]
fn idempotency_token_is_trimmed_and_shortened(#[case] value: &[u8], #[case] kept: Option<&str>) {
    let headers = Lines(vec![("i-twilio-idempotency-token", value.to_vec())]);
    let body = b"MessageSid=SM1&MessageStatus=sent&To=1&From=2";
    let Ok(ParsedBody { reports, .. }) = Twilio::new().parse(&REPORTS, &headers, body) else {
        panic!("no report");
    };
    assert_eq!(reports[0].idempotency_token.as_deref(), kept);
}

#[test]
fn missing_and_wrong_signatures_are_distinguished() {
    let public_url = PublicUrl::parse("https://u:p@example.com").unwrap();
    let request = SignedRequest {
        public_url: &public_url,
        path: "/r",
        query: Some("a=1"),
        tokens: &SigningTokens::parse("auth-token").unwrap(),
    };
    for (value, signed) in [
        ("", false),
        (" ", false),
        ("AAAA", true),
        ("no base64", true),
    ] {
        let headers = Lines(vec![("x-twilio-signature", value.as_bytes().to_vec())]);
        let mismatch = Twilio::new().verify_signature(&headers, b"a=1", request, None);
        let expected_url = "https://example.com/r?a=1".to_owned();
        assert_eq!(
            mismatch,
            Err(SignatureMismatch {
                signed,
                expected_url
            })
        );
    }
}

#[rstest]
fn test_request_is_one_that_is_received(
    #[values(
        "https://reports.example.com",
        "https://user:secret@reports.example.com:8443/behind/a/proxy?tenant=7"
    )]
    public_url: &str,
    #[values("an-auth-token old-auth-token", "key.1:a-shared-key an-auth-token")] tokens: &str,
) {
    let (twilio, secret) = (
        Twilio::new(),
        ServerSecret::parse("an example of a long server secret").unwrap(),
    );
    let channel = ChannelId::parse("1").unwrap();
    let public_url = PublicUrl::parse(public_url).unwrap();
    let path = report_path(&twilio, &channel);
    let signed = SignedRequest {
        public_url: &public_url,
        path: &path,
        query: None,
        tokens: &SigningTokens::parse(tokens).unwrap(),
    };
    let sid = domain::MessageSid::of_test(id(7));
    let [sender, recipient] = ["whatsapp:+15005550006", "whatsapp:+15005550001"]
        .map(|text| domain::Address::parse(text).unwrap());
    let report = TestReport {
        sid: &sid,
        sender: &sender,
        recipient: &recipient,
    };
    let request = twilio.test_request(report, ("user", "pä:ssword"), Some(signed));
    let lines = |more: Option<(&'static str, String)>| {
        let lines = request.headers.iter().cloned().chain(more);
        Lines(
            lines
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
        )
    };
    let credentials = [(
        id(7),
        secret.credential_hash(&channel, b"user", "pä:ssword".as_bytes()),
    )];
    let context = AuthContext {
        channel: &channel,
        credentials: &credentials,
        secret: &secret,
    };
    assert_eq!(
        twilio.authenticate(&lines(None), context),
        AuthResult::Challenge
    );
    let headers = lines(request.authorization.first().cloned());
    let result = twilio.authenticate(&headers, context);
    let AuthResult::Authenticated { presented, .. } = result else {
        panic!("{result:?}");
    };
    let verified = twilio.verify_signature(&headers, &request.body, signed, presented.as_ref());
    assert_eq!(verified, Ok(()));
    let media_type = headers.get("content-type").unwrap();
    assert!(media_type.starts_with(MEDIA_TYPE.as_bytes()));
    let Ok(ParsedBody { reports, .. }) = twilio.parse(&REPORTS, &headers, &request.body) else {
        panic!("not a report");
    };
    let [parsed] = reports.as_slice() else {
        panic!("{reports:?}");
    };
    assert_eq!(parsed.sid, sid);
    assert_eq!(parsed.status.as_str(), "delivered");
    assert_eq!(parsed.sender.as_ref(), Some(&sender));
    assert_eq!(parsed.recipient.reveal(), recipient.reveal());
}

#[test]
fn integrator_names_are_unique() {
    let all = crate::all();
    let mut names: Vec<_> = all.iter().map(|each| each.name().clone()).collect();
    names.dedup();
    assert_eq!(names.len(), all.len());
    assert_eq!(Twilio::default().name().as_str(), "twilio");
}
