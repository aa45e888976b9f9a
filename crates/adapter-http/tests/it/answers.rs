//! The answers of the public listener to all kinds of requests. Uses plain HTTP and the API only,
//! so that any running service can be tested, on any store.

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::service::{MadeChannel, Service, fields};

/// The challenge on every 401.
const CHALLENGE: &str = "Basic realm=\"receiptd\", charset=\"UTF-8\"";

const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// A name, a request, and the expected answer: the status, the code of the problem and the invalid
/// field.
type Row = (&'static str, Request, &'static str);

async fn check(service: &Service, (what, request, expected): Row) -> Answer {
    let answer = request.send(service.public).await;
    let mut words = expected.split(' ');
    let status = words.next().unwrap();
    assert_eq!(answer.status.to_string(), status, "{what}: {answer:?}");
    match words.next() {
        None => assert!(answer.body.is_empty(), "{what}: {answer:?}"),
        // An answer to HEAD has no body.
        Some(_) if answer.body.is_empty() => {
            let media_type = answer.header("content-type");
            assert_eq!(media_type, Some("application/problem+json"), "{what}");
        }
        Some(code) => {
            assert_eq!(answer.problem(), code, "{what}");
            assert_eq!(answer.json()["field"].as_str(), words.next(), "{what}");
        }
    }
    match answer.status {
        401 => assert_eq!(answer.header("www-authenticate"), Some(CHALLENGE), "{what}"),
        405 => assert_eq!(answer.header("allow"), Some("POST"), "{what}"),
        _ => {}
    }
    answer
}

/// Checks every row. `prefix` makes the channel ids unique.
pub async fn every_request_gets_its_answer(service: &Service, prefix: &str) {
    let id = |name: &str| format!("{prefix}-{name}");
    let open = service.add_channel(&id("open"), json!({})).await;
    let other = service.add_channel(&id("other"), json!({})).await;
    let off = service.add_channel(&id("off"), json!({})).await;
    let disable = format!("PATCH /channels/{}", off.id);
    let disabled = service.api(&disable, json!({"enabled": false})).await;
    disabled.assert("200");
    let token = json!({"signing_token": "12345678901234567890123456789012"});
    let signed = service.add_channel(&id("signed"), token).await;
    let senders = json!({"senders": ["whatsapp:+15550107777"]});
    let restricted = service.add_channel(&id("restricted"), senders).await;

    for row in valid_reports(&open) {
        check(service, row).await;
    }
    unauthenticated_requests_get_equal_answers(service, &open, &other).await;
    let rows = [
        paths(&open),
        methods(&open),
        media_types(&open),
        invalid_fields(&open),
    ];
    for row in rows.into_iter().flatten() {
        check(service, row).await;
    }
    let report = || signed.report(SID, "sent");
    let wrong = report().header("X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let other_sender = restricted.report(SID, "sent");
    for row in [
        ("no signature", report(), "403 signature_mismatch"),
        ("a wrong signature", wrong, "403 signature_mismatch"),
        ("disabled", off.report(SID, "sent"), "403 channel_disabled"),
        ("another sender", other_sender, "403 sender_not_allowed"),
    ] {
        let answer = check(service, row).await;
        let names_url = answer.text().contains("http");
        assert!(!names_url, "the answer contains the expected URL");
    }
    bodies_up_to_the_limit(service, &open).await;
    bodies_over_the_limit(service, &open).await;
}

fn valid_reports(open: &MadeChannel) -> Vec<Row> {
    let report = || open.report(SID, "read");
    let status = |status: &str| open.report(SID, status);
    let with = |more: &[(&str, &str)]| report().form(&[&fields(SID, "read"), more].concat());
    let unknown = [
        ("Nonsense", "\u{0}\u{fffd}"),
        ("", "x"),
        ("Nonsense", "again"),
    ];
    let lower_case = report().authorization().replace("Basic", "basic");
    let lower_case = report().replaced("Authorization", &lower_case);
    let media_type = "Application/X-WWW-Form-URLEncoded ; charset=utf-8";
    let with_parameter = report().replaced("Content-Type", media_type);
    let identity = report().header("Content-Encoding", "Identity");
    let query = format!("{}?a=1&b=%00", open.path());
    let escaped = open.path().replacen('-', "%2D", 1);
    let rows = [
        ("a report", status("delivered")),
        ("the same again", status("delivered")),
        ("a late one", status("sent")),
        ("an unknown status", status("teleported")),
        ("an incoming message", status("received")),
        ("an unknown message", open.report("unknown", "read")),
        ("a scheme in lower case", lower_case),
        ("a media type with a parameter", with_parameter),
        ("the encoding `identity`", identity),
        ("a query", report().path(&query)),
        ("an escaped channel id", report().path(&escaped)),
        ("unknown fields", with(&unknown)),
        ("an invalid error code", with(&[("ErrorCode", "a b \u{0}")])),
        ("a chunked body", report().chunks(&[report().body_bytes()])),
    ];
    rows.into_iter()
        .map(|(what, request)| (what, request, "204"))
        .collect()
}

async fn unauthenticated_requests_get_equal_answers(
    service: &Service,
    open: &MadeChannel,
    other: &MadeChannel,
) {
    let plain = || open.unauthenticated(SID, "sent");
    let shown = |value: &str| plain().header("Authorization", value);
    let unknown = plain().path("/social/on/whatsapp/twilio/report/no-such-channel");
    let no_id = plain().path("/social/on/whatsapp/twilio/report/%2F%00%C3%A4");
    let no_id = no_id.basic(&open.user, &open.password);
    let of_other = plain().basic(&other.user, &other.password);
    let wrong = "wrong password";
    let rows = [
        ("no header", plain()),
        ("an empty header", shown("")),
        ("a scheme without more", shown("Basic")),
        ("no base64", shown("Basic !!!")),
        ("no colon", shown("Basic bm9jb2xvbg==")),
        ("no UTF-8", shown("Basic //86/w==")),
        ("another scheme", shown("Bearer abc")),
        ("a wrong password", plain().basic(&open.user, wrong)),
        ("a wrong user", plain().basic("unknown", &open.password)),
        ("another channel's", of_other),
        ("an unknown channel", unknown.clone()),
        ("a wrong password there", unknown.basic(&open.user, wrong)),
        ("no channel id at all", no_id),
        ("no body", Request::post(&open.path())),
        ("another media type", plain().json(&json!({}))),
    ];
    let mut first = None;
    for (what, request) in rows {
        let row = (what, request, "401 unauthorized");
        let answer = check(service, row).await.undated();
        let connection = answer.header("connection");
        assert_eq!(connection, None, "{what}: it is closed");
        let first = first.get_or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "{what}: the answer differs from the others");
    }
}

fn paths(open: &MadeChannel) -> Vec<Row> {
    let base = "/social/on/whatsapp";
    let rows = [
        ("/", "404 not_found"),
        (base, "404 not_found"),
        (&format!("{base}/twilio/report"), "404 not_found"),
        (&format!("{base}/twilio/report/"), "404 not_found"),
        (&format!("{base}/twilio/message/1"), "404 not_found"),
        (&format!("{}/", open.path()), "404 not_found"),
        (&format!("/{}", open.path()), "404 not_found"),
        (&format!("{}/x", open.path()), "404 not_found"),
        (
            &format!("{base}/unknown/report/1"),
            "404 unknown_integrator",
        ),
        (&format!("{base}//report/1"), "404 unknown_integrator"),
        ("/api/v1/channels", "404 not_found"),
        ("/healthz", "404 not_found"),
        ("/metrics", "404 not_found"),
    ];
    let row = |(path, expected): (&str, &'static str)| {
        let request = open.report(SID, "sent").path(path);
        let row = ("an unknown path", request.clone(), expected);
        [row, ("the same, with GET", request.method("GET"), expected)]
    };
    rows.into_iter().flat_map(row).collect()
}

fn methods(open: &MadeChannel) -> Vec<Row> {
    let expected = "405 method_not_allowed";
    let methods = [
        "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY",
    ];
    let row = |method| ("a method", Request::new(method, &open.path()), expected);
    let with_body = open.report(SID, "sent").method("PUT");
    let mut rows: Vec<_> = methods.into_iter().map(row).collect();
    rows.push(("a method with a body", with_body, expected));
    rows
}

fn media_types(open: &MadeChannel) -> Vec<Row> {
    let report = || open.report(SID, "sent");
    let sent_as = |media_type| report().replaced("Content-Type", media_type);
    let packed = |encoding| report().header("Content-Encoding", encoding);
    let nearly = "application/x-www-form-urlencoded2";
    let expected = "415 unsupported_media_type";
    let encoding = "415 unsupported_encoding";
    vec![
        ("no media type", report().without("Content-Type"), expected),
        ("an empty one", sent_as(""), expected),
        ("JSON", sent_as("application/json"), expected),
        ("nearly", sent_as(nearly), expected),
        ("gzip", packed("gzip"), encoding),
        ("gzip too", packed("identity, gzip"), encoding),
        ("nonsense", packed("x-nonsense"), encoding),
    ]
}

fn invalid_fields(open: &MadeChannel) -> Vec<Row> {
    let empty = open.report(SID, "sent").body("");
    let bodiless = Request::post(&open.path())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic(&open.user, &open.password);
    let form = |fields: &[(&str, &str)]| empty.clone().form(fields);
    let [sid, status, to, from] = fields(SID, "sent");
    let id = |value| form(&[("MessageSid", value), status, to, from]);
    let nul = ("To", "whatsapp:+1\0");
    let twice = [sid, ("MessageSid", "SM2"), status, to, from];
    let broken = empty.clone().body("MessageSid=%FF");
    let invalid_sid = "400 invalid_report MessageSid";
    let invalid_status = "400 invalid_report MessageStatus";
    let (invalid_to, invalid_from) = ("400 invalid_report To", "400 invalid_report From");
    vec![
        ("no id", form(&[status, to, from]), invalid_sid),
        ("no status", form(&[sid, to, from]), invalid_status),
        ("no recipient", form(&[sid, status, from]), invalid_to),
        ("no sender", form(&[sid, status, to]), invalid_from),
        ("a blank id", id(" "), invalid_sid),
        ("a long id", id(&"9".repeat(10_000)), invalid_sid),
        ("a NUL in the id", id("SM\0"), invalid_sid),
        ("a NUL", form(&[sid, status, nul, from]), invalid_to),
        ("two ids", form(&twice), invalid_sid),
        ("broken UTF-8", broken, invalid_sid),
        ("an empty body", empty, invalid_sid),
        ("no body at all", bodiless, invalid_sid),
    ]
}

/// Returns a valid form of this many bytes.
fn filled(valid: &Request, length: usize) -> Vec<u8> {
    let mut body = valid.body_bytes().to_vec();
    body.extend_from_slice(b"&Extra=");
    body.resize(length, b'x');
    body
}

async fn bodies_up_to_the_limit(service: &Service, open: &MadeChannel) {
    let valid = open.report(SID, "sent");
    let body = filled(&valid, 65_536);
    let pieces: Vec<_> = body.chunks(1_000).collect();
    for row in [
        ("64 KiB", valid.clone().body(body.clone()), "204"),
        ("64 KiB in chunks", valid.clone().chunks(&pieces), "204"),
        ("64 KiB in one chunk", valid.clone().chunks(&[&body]), "204"),
    ] {
        check(service, row).await;
    }
}

/// These answers close the connection.
async fn bodies_over_the_limit(service: &Service, open: &MadeChannel) {
    let valid = open.report(SID, "sent");
    let body = filled(&valid, 65_537);
    let pieces: Vec<_> = body.chunks(1_000).collect();
    let fields: Vec<_> = (0..501).map(|_| ("Extra", "x")).collect();
    let chunked = |chunks: &[&[u8]]| valid.clone().chunks(chunks);
    let (too_large, too_many) = ("413 too_large", "400 too_many_fields");
    for row in [
        ("long", valid.clone().body(body.clone()), too_large),
        ("long in chunks", chunked(&pieces), too_large),
        ("long in one chunk", chunked(&[&body]), too_large),
        ("501 fields", valid.clone().form(&fields), too_many),
    ] {
        let what = row.0;
        let answer = check(service, row).await;
        assert_eq!(answer.header("connection"), Some("close"), "{what}");
    }

    // The announced length alone is refused.
    let mut connection = Connection::open(service.public).await;
    let long = valid.clone().body(vec![b'x'; 10_000_000]);
    connection.write(&long.head()).await;
    let answer = connection.answer().await;
    answer.assert("413 too_large");
    assert_eq!(answer.header("connection"), Some("close"));

    // An endless body is not read beyond the limit.
    let mut connection = Connection::open(service.public).await;
    connection.write(&valid.clone().chunks(&[]).head()).await;
    let chunk = [&b"400\r\n"[..], &[b'x'; 1_024], b"\r\n"].concat();
    for _ in 0..100 {
        connection.try_write(&chunk).await;
    }
    let answer = connection.answer().await;
    answer.assert("413 too_large");
    assert_eq!(answer.header("connection"), Some("close"));

    let nonsense = valid.chunks(&[]).body("nonsense\r\n");
    assert_eq!(nonsense.send(service.public).await.status, 400);
}
