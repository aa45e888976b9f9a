//! What each form requires: the role of its operator, and the token of its session.

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::page::PageSize;
use futures_util::FutureExt as _;
use testkit::builders::{channel, report};

use crate::site;

/// The forms of the console with the least role that may submit each. `reveal` is a right.
const FORMS: &str = "\
    /messages/search viewer
    /messages/1/SM1/reveal reveal
    /channels/new operator
    /channels/1/edit operator
    /channels/1/enable operator
    /channels/1/disable operator
    /channels/1/remove operator
    /channels/1/test operator
    /channels/1/reconciliation operator
    /channels/1/reconciliation/remove operator
    /channels/1/rules operator
    /channels/1/rules/reset operator
    /channels/1/credentials operator
    /channels/1/credentials/00000000-0000-0000-0000-000000000009/remove operator
    /subscriptions/new operator
    /subscriptions/00000000-0000-0000-0000-000000000009/edit operator
    /subscriptions/00000000-0000-0000-0000-000000000009/pause operator
    /subscriptions/00000000-0000-0000-0000-000000000009/resume operator
    /subscriptions/00000000-0000-0000-0000-000000000009/remove operator
    /subscriptions/00000000-0000-0000-0000-000000000009/replay operator
    /subscriptions/00000000-0000-0000-0000-000000000009/test operator
    /subscriptions/00000000-0000-0000-0000-000000000009/secret operator
    /subscriptions/00000000-0000-0000-0000-000000000009/retry operator
    /deliveries/00000000-0000-0000-0000-000000000009.1.0/retry operator
    /trouble/rules operator
    /trouble/00000000-0000-0000-0000-000000000009/snooze operator
    /trouble/00000000-0000-0000-0000-000000000009/unsnooze operator
    /rejections/add-sender operator
    /views operator
    /views/00000000-0000-0000-0000-000000000009/remove operator
    /tokens admin
    /tokens/00000000-0000-0000-0000-000000000009/revoke admin
    /sessions/00000000-0000-0000-0000-000000000009/end viewer
    /erasures admin
    /preferences viewer
    /sign-out viewer
    /sign-out-everywhere viewer";

/// The form of signing in, which needs no session.
const WITHOUT_SESSION: usize = 1;

fn forms() -> Vec<(String, &'static str)> {
    let lines = FORMS.lines().map(str::trim);
    let form = |line: &'static str| {
        let (path, needs) = line.split_once(' ').unwrap();
        (format!("/console{path}"), needs)
    };
    lines.map(form).collect()
}

#[test]
fn table_has_every_form_of_the_console() {
    let routes = include_str!("../../src/routes.rs");
    let posts = routes.matches("post().to(").count();
    assert_eq!(posts, forms().len() + WITHOUT_SESSION);
}

#[tokio::test]
async fn form_needs_the_role_that_the_table_says() {
    for (path, needs) in forms() {
        let least = match needs {
            "viewer" => 0,
            "operator" => 1,
            "admin" => 2,
            _ => 3,
        };
        let roles = [Role::Viewer, Role::Operator, Role::Admin];
        for (place, role) in roles.into_iter().enumerate() {
            let site = site::local().await;
            site.add_channel(&channel("1").build()).await;
            site.record(&[report("SM1").build()]).await;
            let token = site.token("someone", role, Rights::default()).await;
            let browser = site.signed_in(&token).await;
            let answer = browser.post(&path, &[]).await;
            let is_refused = answer.status == 403;
            assert_eq!(
                is_refused,
                place < least,
                "{path} as {role:?}: {}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn form_needs_the_token_of_its_session_and_the_site_of_the_console() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    site.record(&[report("SM1").build()]).await;
    let rights = Rights {
        reveal: true,
        audit: true,
    };
    let token = site.token("someone", Role::Admin, rights).await;
    let browser = site.signed_in(&token).await;
    let csrf = browser.csrf.as_str();
    for (path, _) in forms() {
        for (origin, token) in [("same-origin", ""), ("cross-site", csrf)] {
            let answer = browser.post_from(origin, &path, &[("csrf", token)]).await;
            assert_eq!(answer.status, 403, "{path} from {origin}");
        }
        // Without a session no form is taken, whatever its token.
        let stranger = site.stranger();
        let answer = stranger
            .post_from("same-origin", &path, &[("csrf", csrf)])
            .await;
        assert!(
            matches!(answer.status.as_u16(), 303 | 401),
            "{path}: {}",
            answer.status
        );
    }
    let channel = site.channel("1").await;
    assert!(channel.enabled);
    assert_eq!(
        browser.get("/console/").await.status,
        200,
        "the session goes on"
    );
}

#[tokio::test]
async fn change_is_audited_although_the_browser_disconnects() {
    let site = site::local().await;
    let admin = site.admin().await;
    let fields = [("url", "https://crm.example.com/hook")];
    admin.post("/console/subscriptions/new", &fields).await;
    let list = admin.get("/console/subscriptions").await.page();
    let id = site::value_after(&list, "href=\"/console/subscriptions/0");
    let test = format!("/console/subscriptions/0{id}/test");
    // Polled once: the endpoint has not answered yet.
    assert!(admin.post(&test, &[]).now_or_never().is_none());
    site.tasks
        .run_until(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    let filter = AuditFilter {
        action: Some(AuditAction::SubscriptionTest),
        ..AuditFilter::default()
    };
    let entries = site.access.audit_log.run(&filter, None, PageSize::MAX);
    assert_eq!(entries.await.unwrap().items.len(), 1);
}
