//! Which request gets which answer at the public listener. It speaks plain HTTP
//! to a service and makes its channels through the API, so that it can be told
//! of any service, whatever its store.

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::service::{MadeChannel, Service, fields};

/// The challenge on every 401.
const CHALLENGE: &str = "Basic realm=\"receiptd\"";

const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// A request and what it must be answered.
struct Row {
    what: &'static str,
    request: Request,
    status: u16,
    /// Of the problem; empty if there is none.
    code: &'static str,
    field: Option<&'static str>,
}

fn row(what: &'static str, request: Request, status: u16, code: &'static str) -> Row {
    Row {
        what,
        request,
        status,
        code,
        field: None,
    }
}

impl Row {
    fn of(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    async fn check(&self, service: &Service) -> Answer {
        let answer = self.request.send(service.public).await;
        assert_eq!(answer.status, self.status, "{}: {answer:?}", self.what);
        if self.code.is_empty() {
            assert!(answer.body.is_empty(), "{}: {answer:?}", self.what);
        } else if answer.body.is_empty() {
            // HEAD.
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
        } else {
            assert_eq!(answer.problem(), self.code, "{}", self.what);
            let problem = answer.json();
            assert_eq!(problem["field"].as_str(), self.field, "{}", self.what);
        }
        if self.status == 401 {
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.starts_with(CHALLENGE), "{challenge}");
        }
        answer
    }
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
        row.check(service).await;
    }
    unproven_callers_all_get_the_same(service, &open, &other).await;
    for row in paths_and_methods(&open)
        .into_iter()
        .chain(media_types(&open))
        .chain(defects(&open))
    {
        row.check(service).await;
    }
    for row in [
        row(
            "no signature",
            signed.report(SID, "sent"),
            403,
            "signature_mismatch",
        ),
        row(
            "a wrong signature",
            signed
                .report(SID, "sent")
                .header("X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            403,
            "signature_mismatch",
        ),
        row(
            "switched off",
            off.report(SID, "sent"),
            403,
            "channel_disabled",
        ),
        row(
            "another sender",
            choosy.report(SID, "sent"),
            403,
            "sender_not_allowed",
        ),
    ] {
        let answer = row.check(service).await;
        assert!(
            !answer.text().contains("http"),
            "the URL that is expected is told"
        );
    }
    bodies(service, &open).await;
}

fn good_reports(open: &MadeChannel) -> Vec<Row> {
    let report = |status: &str| open.report(SID, status);
    let good = |what, request| row(what, request, 204, "");
    let encoded_id = open.id.replacen('-', "%2D", 1);
    vec![
        good("a report", report("delivered")),
        good("the same again", report("delivered")),
        good("a late one", report("sent")),
        good("a status nobody knows", report("teleported")),
        good("an incoming message", report("received")),
        good(
            "a message nobody knows",
            open.report("an-unknown-message", "read"),
        ),
        good(
            "the scheme in lower case",
            report("read").without("Authorization").header(
                "authorization",
                &report("read").authorization().replace("Basic", "basic"),
            ),
        ),
        good(
            "a media type with a parameter, in another case",
            report("read").without("Content-Type").header(
                "content-type",
                "Application/X-WWW-Form-URLEncoded ; charset=utf-8",
            ),
        ),
        good(
            "the encoding that is none",
            report("read").header("Content-Encoding", "Identity"),
        ),
        good(
            "a query",
            report("read").path(&format!("{}?a=1&b=%00", open.path())),
        ),
        good(
            "an escaped channel id",
            report("read").path(&format!("/social/on/whatsapp/twilio/report/{encoded_id}")),
        ),
        good(
            "fields that nobody knows",
            report("read").form(
                &[
                    &fields(SID, "read")[..],
                    &[
                        ("Nonsense", "\u{0}\u{fffd}"),
                        ("", "x"),
                        ("Nonsense", "again"),
                    ],
                ]
                .concat(),
            ),
        ),
        good(
            "an error code that is none",
            report("failed")
                .form(&[&fields(SID, "failed")[..], &[("ErrorCode", "a b \u{0}")]].concat()),
        ),
        good(
            "a chunked body",
            report("read")
                .header("Transfer-Encoding", "chunked")
                .body(chunked(&[report("read").body_bytes()])),
        ),
    ]
}

async fn unproven_callers_all_get_the_same(
    service: &Service,
    open: &MadeChannel,
    other: &MadeChannel,
) {
    let plain = || open.unproven(SID, "sent");
    let unknown = plain().path("/social/on/whatsapp/twilio/report/no-such-channel");
    let no_id = plain().path("/social/on/whatsapp/twilio/report/%2F%00%C3%A4");
    let wrong = "wrong password";
    let rows = [
        ("nothing shown", plain()),
        ("an empty header", plain().header("Authorization", "")),
        (
            "a scheme without more",
            plain().header("Authorization", "Basic"),
        ),
        ("no base64", plain().header("Authorization", "Basic !!!")),
        (
            "no colon",
            plain().header("Authorization", "Basic bm9jb2xvbg=="),
        ),
        (
            "no UTF-8",
            plain().header("Authorization", "Basic //86/w=="),
        ),
        (
            "another scheme",
            plain().header("Authorization", "Bearer abc"),
        ),
        ("a wrong password", plain().basic(&open.user, wrong)),
        ("a wrong user", plain().basic("somebody", &open.password)),
        (
            "another channel's",
            plain().basic(&other.user, &other.password),
        ),
        ("an unknown channel", unknown.clone()),
        (
            "an unknown channel, wrong password",
            unknown.basic(&open.user, wrong),
        ),
        (
            "no channel id at all",
            no_id.basic(&open.user, &open.password),
        ),
        ("no body", Request::post(&open.path())),
        ("another media type", plain().json(&json!({}))),
    ];
    let mut first = None;
    for (what, request) in rows {
        let answer = row(what, request, 401, "unauthorized")
            .check(service)
            .await
            .undated();
        assert_eq!(
            answer.header("connection"),
            None,
            "{what}: the connection is closed"
        );
        let first = first.get_or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "{what} can be told from the others");
    }
}

fn paths_and_methods(open: &MadeChannel) -> Vec<Row> {
    let report = || open.report(SID, "sent");
    let mut rows = vec![];
    for path in [
        "/",
        "/social/on/whatsapp/twilio/report",
        "/social/on/whatsapp/twilio/report/",
        "/social/on/whatsapp/twilio/message/1",
        "/social/on/whatsapp/twilio/report/1/2",
        "/social/on/whatsapp//report/1",
        "/api/v1/channels",
        "/healthz",
        "/metrics",
    ] {
        let code = match path {
            "/social/on/whatsapp//report/1" => "unknown_integrator",
            _ => "not_found",
        };
        rows.push(row("a path to nowhere", report().path(path), 404, code));
    }
    let trailing = format!("{}/", open.path());
    rows.push(row(
        "a trailing slash",
        report().path(&trailing),
        404,
        "not_found",
    ));
    let nobody = "/social/on/whatsapp/nobody/report/1";
    rows.push(row(
        "nobody's path",
        report().path(nobody),
        404,
        "unknown_integrator",
    ));
    let nobody = Request::get(nobody);
    rows.push(row("nobody's path, GET", nobody, 404, "unknown_integrator"));
    for method in [
        "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY",
    ] {
        let request = Request::new(method, &open.path());
        rows.push(row("another method", request, 405, "method_not_allowed"));
    }
    let with_body = report().method("PUT");
    rows.push(row(
        "another method with a body",
        with_body,
        405,
        "method_not_allowed",
    ));
    rows
}

fn media_types(open: &MadeChannel) -> Vec<Row> {
    let report = || open.report(SID, "sent");
    let without = || report().without("Content-Type");
    let wrong = |what, request| row(what, request, 415, "unsupported_media_type");
    let packed = |what, request| row(what, request, 415, "unsupported_encoding");
    vec![
        wrong("no media type", without()),
        wrong("an empty one", without().header("Content-Type", "")),
        wrong("JSON", without().header("Content-Type", "application/json")),
        wrong(
            "nearly",
            without().header("Content-Type", "application/x-www-form-urlencoded2"),
        ),
        packed("gzip", report().header("Content-Encoding", "gzip")),
        packed(
            "gzip upon identity",
            report().header("Content-Encoding", "identity, gzip"),
        ),
        packed(
            "an unknown encoding",
            report().header("Content-Encoding", "x-nonsense"),
        ),
    ]
}

fn defects(open: &MadeChannel) -> Vec<Row> {
    let report = |fields: &[(&str, &str)]| {
        Request::post(&open.path())
            .form(fields)
            .basic(&open.user, &open.password)
    };
    let broken = |what, fields: &[(&str, &str)], field: &'static str| {
        row(what, report(fields), 400, "invalid_report").of(field)
    };
    let [sid, status, to, from] = fields(SID, "sent");
    let long = "9".repeat(10_000);
    let many: Vec<_> = (0..501).map(|_| ("Extra", "x")).collect();
    vec![
        broken("no message id", &[status, to, from], "MessageSid"),
        broken("no status", &[sid, to, from], "MessageStatus"),
        broken("no recipient", &[sid, status, from], "To"),
        broken("no sender", &[sid, status, to], "From"),
        broken(
            "a blank one",
            &[("MessageSid", " "), status, to, from],
            "MessageSid",
        ),
        broken(
            "a long id",
            &[("MessageSid", &long), status, to, from],
            "MessageSid",
        ),
        broken(
            "a NUL",
            &[("MessageSid", "SM\0"), status, to, from],
            "MessageSid",
        ),
        broken(
            "a NUL in an address",
            &[sid, status, ("To", "whatsapp:+1\0"), from],
            "To",
        ),
        broken(
            "two ids",
            &[sid, ("MessageSid", "SM2"), status, to, from],
            "MessageSid",
        ),
        row("an empty body", report(&[]), 400, "invalid_report").of("MessageSid"),
        row(
            "broken UTF-8",
            report(&[]).body("MessageSid=%FF"),
            400,
            "invalid_report",
        )
        .of("MessageSid"),
        row("no body at all", bodiless(open), 400, "invalid_report").of("MessageSid"),
        row("501 fields", report(&many), 400, "too_many_fields"),
    ]
}

fn bodiless(open: &MadeChannel) -> Request {
    Request::post(&open.path())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic(&open.user, &open.password)
}

/// Bodies at and over the limit. Over it the connection is closed.
async fn bodies(service: &Service, open: &MadeChannel) {
    let good = open.report(SID, "sent");
    let filled = |length: usize| {
        let mut body = good.body_bytes().to_vec();
        body.extend_from_slice(b"&Extra=");
        body.resize(length, b'x');
        body
    };
    let (fits, too_long) = (filled(65_536), filled(65_537));
    row("64 KiB", good.clone().body(fits.clone()), 204, "")
        .check(service)
        .await;
    let pieces: Vec<_> = fits.chunks(1_000).collect();
    let in_chunks = good.clone().header("Transfer-Encoding", "chunked");
    let request = in_chunks.clone().body(chunked(&pieces));
    row("64 KiB in chunks", request, 204, "")
        .check(service)
        .await;

    let pieces: Vec<_> = too_long.chunks(1_000).collect();
    for (what, request) in [
        ("more than 64 KiB", good.clone().body(too_long.clone())),
        (
            "more than 64 KiB in chunks",
            in_chunks.clone().body(chunked(&pieces)),
        ),
        (
            "more than 64 KiB in one chunk",
            in_chunks.clone().body(chunked(&[&too_long])),
        ),
    ] {
        let answer = row(what, request, 413, "too_large").check(service).await;
        assert_eq!(answer.header("connection"), Some("close"), "{what}");
    }

    // The length alone is enough, nothing of the body need come.
    let mut connection = Connection::open(service.public).await;
    connection
        .write(&good.clone().body(vec![b'x'; 10_000_000]).head())
        .await;
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too_large")
    );
    assert_eq!(answer.header("connection"), Some("close"));

    // A chunk that never ends is not read for ever.
    let mut connection = Connection::open(service.public).await;
    connection.write(&in_chunks.head()).await;
    for _ in 0..100 {
        connection.try_write(b"400\r\n").await;
        connection.try_write(&[b'x'; 1_024]).await;
        connection.try_write(b"\r\n").await;
    }
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too_large")
    );
    assert_eq!(answer.header("connection"), Some("close"));

    let request = in_chunks.body("nonsense\r\n");
    let answer = request.send(service.public).await;
    assert_eq!(answer.status, 400);
}

/// A chunked body of these chunks.
fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}
