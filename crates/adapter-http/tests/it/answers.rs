//! Which request gets which answer at the public listener. It speaks plain HTTP
//! to a service and makes its channels through the API, so that it can be told
//! of any service, whatever its store.

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::service::{MadeChannel, Service, fields};

/// The challenge on every 401.
const CHALLENGE: &str = "Basic realm=\"receiptd\", charset=\"UTF-8\"";

const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// What it is, the request, and what it must be answered: the status, the code
/// of the problem and the field that is wrong.
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

/// Checks every row. `prefix` makes the channel ids differ from any others.
pub async fn every_request_gets_its_answer(service: &Service, prefix: &str) {
    let id = |name: &str| format!("{prefix}-{name}");
    let open = service.add_channel(&id("open"), json!({})).await;
    let other = service.add_channel(&id("other"), json!({})).await;
    let off = service.add_channel(&id("off"), json!({})).await;
    let switch = Request::new("PATCH", &format!("/api/v1/channels/{}", off.id));
    let switched = service.operator(switch.json(&json!({"enabled": false})));
    assert_eq!(switched.await.status, 200);
    let token = json!({"signing_token": "12345678901234567890123456789012"});
    let signed = service.add_channel(&id("signed"), token).await;
    let senders = json!({"senders": ["whatsapp:+15550107777"]});
    let choosy = service.add_channel(&id("choosy"), senders).await;

    for row in good_reports(&open) {
        check(service, row).await;
    }
    unproven_callers_all_get_the_same(service, &open, &other).await;
    let rows = [
        paths(&open),
        methods(&open),
        media_types(&open),
        defects(&open),
    ];
    for row in rows.into_iter().flatten() {
        check(service, row).await;
    }
    let report = || signed.report(SID, "sent");
    let wrong = report().header("X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    for row in [
        ("no signature", report(), "403 signature_mismatch"),
        ("a wrong signature", wrong, "403 signature_mismatch"),
        (
            "switched off",
            off.report(SID, "sent"),
            "403 channel_disabled",
        ),
        (
            "another sender",
            choosy.report(SID, "sent"),
            "403 sender_not_allowed",
        ),
    ] {
        let answer = check(service, row).await;
        assert!(!answer.text().contains("http"), "the expected URL is told");
    }
    bodies_up_to_the_limit(service, &open).await;
    bodies_over_the_limit(service, &open).await;
}

fn good_reports(open: &MadeChannel) -> Vec<Row> {
    let report = || open.report(SID, "read");
    let status = |status: &str| open.report(SID, status);
    let with = |more: &[(&str, &str)]| report().form(&[&fields(SID, "read"), more].concat());
    let nonsense = [
        ("Nonsense", "\u{0}\u{fffd}"),
        ("", "x"),
        ("Nonsense", "again"),
    ];
    let lower_case = report().authorization().replace("Basic", "basic");
    let media_type = "Application/X-WWW-Form-URLEncoded ; charset=utf-8";
    let query = format!("{}?a=1&b=%00", open.path());
    let escaped = open.path().replacen('-', "%2D", 1);
    let rows = [
        ("a report", status("delivered")),
        ("the same again", status("delivered")),
        ("a late one", status("sent")),
        ("a status nobody knows", status("teleported")),
        ("an incoming message", status("received")),
        (
            "a message nobody knows",
            open.report("an-unknown-message", "read"),
        ),
        (
            "a scheme in lower case",
            report().replaced("Authorization", &lower_case),
        ),
        (
            "a media type with a parameter",
            report().replaced("Content-Type", media_type),
        ),
        (
            "the encoding that is none",
            report().header("Content-Encoding", "Identity"),
        ),
        ("a query", report().path(&query)),
        ("an escaped channel id", report().path(&escaped)),
        ("fields nobody knows", with(&nonsense)),
        (
            "an error code that is none",
            with(&[("ErrorCode", "a b \u{0}")]),
        ),
        ("a chunked body", report().chunks(&[report().body_bytes()])),
    ];
    rows.into_iter()
        .map(|(what, request)| (what, request, "204"))
        .collect()
}

async fn unproven_callers_all_get_the_same(
    service: &Service,
    open: &MadeChannel,
    other: &MadeChannel,
) {
    let plain = || open.unproven(SID, "sent");
    let shown = |value: &str| plain().header("Authorization", value);
    let unknown = plain().path("/social/on/whatsapp/twilio/report/no-such-channel");
    let no_id = plain().path("/social/on/whatsapp/twilio/report/%2F%00%C3%A4");
    let wrong = "wrong password";
    let rows = [
        ("nothing shown", plain()),
        ("an empty header", shown("")),
        ("a scheme without more", shown("Basic")),
        ("no base64", shown("Basic !!!")),
        ("no colon", shown("Basic bm9jb2xvbg==")),
        ("no UTF-8", shown("Basic //86/w==")),
        ("another scheme", shown("Bearer abc")),
        ("a wrong password", plain().basic(&open.user, wrong)),
        ("a wrong user", plain().basic("somebody", &open.password)),
        (
            "another channel's",
            plain().basic(&other.user, &other.password),
        ),
        ("an unknown channel", unknown.clone()),
        ("a wrong password there", unknown.basic(&open.user, wrong)),
        (
            "no channel id at all",
            no_id.basic(&open.user, &open.password),
        ),
        ("no body", Request::post(&open.path())),
        ("another media type", plain().json(&json!({}))),
    ];
    let mut first = None;
    for (what, request) in rows {
        let row = (what, request, "401 unauthorized");
        let answer = check(service, row).await.undated();
        assert_eq!(answer.header("connection"), None, "{what}: it is closed");
        let first = first.get_or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "{what} can be told from the others");
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
        (&format!("{base}/nobody/report/1"), "404 unknown_integrator"),
        (&format!("{base}//report/1"), "404 unknown_integrator"),
        ("/api/v1/channels", "404 not_found"),
        ("/healthz", "404 not_found"),
        ("/metrics", "404 not_found"),
    ];
    let row = |(path, expected): (&str, &'static str)| {
        let request = open.report(SID, "sent").path(path);
        let row = ("a path to nowhere", request.clone(), expected);
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
    vec![
        ("no media type", report().without("Content-Type"), expected),
        ("an empty one", sent_as(""), expected),
        ("JSON", sent_as("application/json"), expected),
        ("nearly", sent_as(nearly), expected),
        ("gzip", packed("gzip"), "415 unsupported_encoding"),
        (
            "gzip too",
            packed("identity, gzip"),
            "415 unsupported_encoding",
        ),
        ("nonsense", packed("x-nonsense"), "415 unsupported_encoding"),
    ]
}

fn defects(open: &MadeChannel) -> Vec<Row> {
    let empty = open.report(SID, "sent").body("");
    let bodiless = Request::post(&open.path())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic(&open.user, &open.password);
    let form = |fields: &[(&str, &str)]| empty.clone().form(fields);
    let [sid, status, to, from] = fields(SID, "sent");
    let id = |value| form(&[("MessageSid", value), status, to, from]);
    let nul = ("To", "whatsapp:+1\0");
    let twice = [sid, ("MessageSid", "SM2"), status, to, from];
    vec![
        (
            "no id",
            form(&[status, to, from]),
            "400 invalid_report MessageSid",
        ),
        (
            "no status",
            form(&[sid, to, from]),
            "400 invalid_report MessageStatus",
        ),
        (
            "no recipient",
            form(&[sid, status, from]),
            "400 invalid_report To",
        ),
        (
            "no sender",
            form(&[sid, status, to]),
            "400 invalid_report From",
        ),
        ("a blank id", id(" "), "400 invalid_report MessageSid"),
        (
            "a long id",
            id(&"9".repeat(10_000)),
            "400 invalid_report MessageSid",
        ),
        (
            "a NUL in the id",
            id("SM\0"),
            "400 invalid_report MessageSid",
        ),
        (
            "a NUL",
            form(&[sid, status, nul, from]),
            "400 invalid_report To",
        ),
        ("two ids", form(&twice), "400 invalid_report MessageSid"),
        (
            "broken UTF-8",
            empty.clone().body("MessageSid=%FF"),
            "400 invalid_report MessageSid",
        ),
        (
            "an empty body",
            empty.clone(),
            "400 invalid_report MessageSid",
        ),
        ("no body at all", bodiless, "400 invalid_report MessageSid"),
    ]
}

/// A good form of this many bytes.
fn filled(good: &Request, length: usize) -> Vec<u8> {
    let mut body = good.body_bytes().to_vec();
    body.extend_from_slice(b"&Extra=");
    body.resize(length, b'x');
    body
}

async fn bodies_up_to_the_limit(service: &Service, open: &MadeChannel) {
    let good = open.report(SID, "sent");
    let body = filled(&good, 65_536);
    let pieces: Vec<_> = body.chunks(1_000).collect();
    for row in [
        ("64 KiB", good.clone().body(body.clone()), "204"),
        ("64 KiB in chunks", good.clone().chunks(&pieces), "204"),
        ("64 KiB in one chunk", good.clone().chunks(&[&body]), "204"),
    ] {
        check(service, row).await;
    }
}

/// The connection is closed then.
async fn bodies_over_the_limit(service: &Service, open: &MadeChannel) {
    let good = open.report(SID, "sent");
    let body = filled(&good, 65_537);
    let pieces: Vec<_> = body.chunks(1_000).collect();
    let fields: Vec<_> = (0..501).map(|_| ("Extra", "x")).collect();
    for row in [
        (
            "over 64 KiB",
            good.clone().body(body.clone()),
            "413 too_large",
        ),
        (
            "over 64 KiB in chunks",
            good.clone().chunks(&pieces),
            "413 too_large",
        ),
        (
            "over 64 KiB in one chunk",
            good.clone().chunks(&[&body]),
            "413 too_large",
        ),
        (
            "501 fields",
            good.clone().form(&fields),
            "400 too_many_fields",
        ),
    ] {
        let what = row.0;
        let answer = check(service, row).await;
        assert_eq!(answer.header("connection"), Some("close"), "{what}");
    }

    // The length alone is enough, nothing of the body need come.
    let mut connection = Connection::open(service.public).await;
    let long = good.clone().body(vec![b'x'; 10_000_000]);
    connection.write(&long.head()).await;
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too_large")
    );
    assert_eq!(answer.header("connection"), Some("close"));

    // Chunks that never end are not read for ever.
    let mut connection = Connection::open(service.public).await;
    connection.write(&good.clone().chunks(&[]).head()).await;
    let chunk = [&b"400\r\n"[..], &[b'x'; 1_024], b"\r\n"].concat();
    for _ in 0..100 {
        connection.try_write(&chunk).await;
    }
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too_large")
    );
    assert_eq!(answer.header("connection"), Some("close"));

    let nonsense = good.chunks(&[]).body("nonsense\r\n");
    assert_eq!(nonsense.send(service.public).await.status, 400);
}
