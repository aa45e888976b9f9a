//! Signing in and out, and what a session may do.

use actix_web::test::TestRequest;
use domain::access::session::SESSION_IDLE_TIMEOUT;
use domain::access::{ConsoleUrl, Rights, Role};
use testkit::builders::channel;

use crate::site::{self, ADMIN_TOKEN};

#[tokio::test]
async fn pages_require_a_session_and_return_after_signing_in() {
    let site = site::local().await;
    let answer = site.stranger().get("/console/messages?status=read").await;
    assert_eq!(
        answer.location(),
        "/console/sign-in?next=%2Fconsole%2Fmessages%3Fstatus%3Dread"
    );
    let post = site.stranger().post("/console/sign-out", &[]).await;
    assert_eq!(post.status, 401);
}

#[tokio::test]
async fn cookie_over_https_is_bound_to_the_host() {
    let site = site::at("https://ops.example.com").await;
    let answer = site.stranger().sign_in(ADMIN_TOKEN).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-receiptd="), "{cookie}");
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
}

#[tokio::test]
async fn cookie_over_plain_http_has_a_plain_name() {
    let site = site::local().await;
    let answer = site.stranger().sign_in(ADMIN_TOKEN).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("receiptd="), "{cookie}");
    assert!(!cookie.contains("Secure"), "{cookie}");
    let page = site.stranger().get("/console/sign-in").await.page();
    assert!(page.contains("not encrypted"), "{page}");
}

#[tokio::test]
async fn wrong_token_is_refused_with_a_reason() {
    let site = site::local().await;
    let answer = site.stranger().sign_in("wrong").await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text.contains("the token is not valid"),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn lost_cookie_is_explained() {
    let site = site::at("https://ops.example.com").await;
    let page = site
        .stranger()
        .get("/console/signed-in?next=/console/")
        .await;
    assert_eq!(page.status, 403);
    assert!(
        page.text.contains("did not keep the cookie"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("https://ops.example.com"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn session_gets_a_new_key_whatever_cookie_the_browser_had() {
    let site = site::local().await;
    let mut browser = site.admin().await;
    let before = browser.clone();
    browser.sign_in(ADMIN_TOKEN).await.location();
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(browser.get("/console/channels").await.status, 200);
    assert_eq!(before.get("/console/channels").await.status, 303);
}

#[tokio::test]
async fn signed_out_session_is_refused() {
    let site = site::local().await;
    let browser = site.admin().await;
    let answer = browser.post("/console/sign-out", &[]).await;
    assert_eq!(answer.location(), "/console/sign-in");
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/console/channels").await.status, 303);
}

#[tokio::test]
async fn sign_in_link_works_once() {
    let site = site::local().await;
    let link = site.access.sessions.add_link();
    let url = ConsoleUrl::parse("http://127.0.0.1:8081").unwrap();
    let url = adapter_console::sign_in_url(&url, &link);
    let path = url.strip_prefix("http://127.0.0.1:8081").unwrap();
    let answer = site.stranger().get(path).await;
    assert_eq!(answer.location(), "/console/signed-in?next=%2Fconsole%2F");
    assert!(answer.header("set-cookie").is_some());
    assert_eq!(site.stranger().get(path).await.status, 403);
}

#[tokio::test]
async fn redirect_after_signing_in_stays_on_the_console() {
    let site = site::local().await;
    let fields = |next| [("token", ADMIN_TOKEN), ("next", next)];
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/docs/",
    ] {
        let stranger = site.stranger();
        let fields = fields(next);
        let answer = stranger.post_from("same-origin", "/console/sign-in", &fields);
        let answer = answer.await;
        assert_eq!(
            answer.location(),
            "/console/signed-in?next=%2Fconsole%2F",
            "{next}"
        );
        let admin = site.admin().await;
        let checked = admin.get(&format!("/console/signed-in?next={next}")).await;
        assert_eq!(checked.location(), "/console/", "{next}");
        let fields = [("theme", "dark"), ("back", next)];
        let changed = admin.post("/console/preferences", &fields).await;
        assert_eq!(changed.location(), "/console/", "{next}");
    }
}

#[tokio::test]
async fn form_without_the_token_of_the_session_changes_nothing() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    let (path, csrf) = ("/console/channels/1/disable", admin.csrf.as_str());
    for (origin, token) in [
        ("same-origin", ""),
        ("same-origin", "wrong"),
        ("cross-site", csrf),
        ("same-site", csrf),
        ("none", csrf),
    ] {
        let answer = admin.post_from(origin, path, &[("csrf", token)]).await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    let other = site.admin().await;
    let answer = admin
        .post_from("same-origin", path, &[("csrf", &other.csrf)])
        .await;
    assert_eq!(answer.status, 403);
    assert!(site.channel("1").await.enabled);
}

#[tokio::test]
async fn without_fetch_metadata_the_origin_must_be_the_configured_one() {
    let site = site::local().await;
    let admin = site.admin().await;
    let sign_out = |origin| {
        let fields = [("csrf", admin.csrf.clone())];
        let request = TestRequest::post()
            .uri("/console/sign-out")
            .set_form(fields);
        admin.send(request.insert_header(("origin", origin)))
    };
    assert_eq!(sign_out("http://evil.example").await.status, 403);
    assert_eq!(sign_out("null").await.status, 403);
    assert_eq!(sign_out("http://127.0.0.1:8081").await.status, 303);
}

#[tokio::test]
async fn viewer_sees_no_buttons_and_cannot_post_what_they_would_do() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let token = site.token("viewer", Role::Viewer, Rights::default()).await;
    let viewer = site.signed_in(&token).await;
    let list = viewer.get("/console/channels").await.page();
    assert!(!list.contains("/console/channels/new"), "{list}");
    let page = viewer.get("/console/channels/1").await.page();
    for action in ["/disable", "/remove", "/edit", "/credentials\""] {
        assert!(!page.contains(action), "{action}: {page}");
    }
    for path in [
        "/console/channels/new",
        "/console/channels/1/edit",
        "/console/channels/1/disable",
        "/console/channels/1/remove",
        "/console/channels/1/credentials",
    ] {
        assert_eq!(viewer.post(path, &[]).await.status, 403, "{path}");
    }
    assert!(site.channel("1").await.enabled);
    assert_eq!(viewer.get("/console/channels/new").await.status, 403);
}

#[tokio::test]
async fn revoked_token_ends_its_sessions() {
    let site = site::local().await;
    let token = site
        .token("leaving", Role::Operator, Rights::default())
        .await;
    let browser = site.signed_in(&token).await;
    let tokens = site.access.tokens.list().await.unwrap();
    site.access.tokens.revoke(tokens[0].0.id).await.unwrap();
    assert_eq!(browser.get("/console/channels").await.status, 303);
}

#[tokio::test]
async fn idle_session_ends() {
    let site = site::local().await;
    let browser = site.admin().await;
    site.clock.advance(SESSION_IDLE_TIMEOUT);
    assert_eq!(browser.get("/console/channels").await.status, 303);
}
