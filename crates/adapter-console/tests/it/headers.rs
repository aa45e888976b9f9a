//! The headers of all answers.

use crate::site;

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_cannot_be_framed() {
    let site = site::local().await;
    let admin = site.admin().await;
    for path in [
        "/console/",
        "/console/sign-in",
        "/console/messages",
        "/console/channels",
        "/console/no-such-page",
        "/console/messages?status=nonsense",
    ] {
        let answer = admin.get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("same-origin"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_forever_under_names_that_change_with_them() {
    let site = site::local().await;
    let page = site.stranger().get("/console/sign-in").await.page();
    for mark in ["rel=\"stylesheet\" href=\"", "rel=\"icon\" href=\""] {
        let path = site::value_after(&page, mark);
        let answer = site.stranger().get(path).await;
        let cache = answer.header("cache-control").unwrap();
        assert!(cache.contains("immutable"), "{path}: {cache}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!answer.text.is_empty(), "{path}");
    }
    let missing = site.stranger().get("/console/assets/console.0.css").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn no_page_has_inline_styles_or_scripts() {
    let site = site::local().await;
    let admin = site.admin().await;
    for path in [
        "/console/sign-in",
        "/console/messages",
        "/console/channels/new",
    ] {
        let page = admin.get(path).await.text;
        assert!(!page.contains(" style="), "{path}");
        assert!(!page.contains("<style"), "{path}");
        assert!(!page.contains(" onclick="), "{path}");
        let scripts = page.matches("<script").count();
        assert_eq!(
            scripts,
            page.matches("<script type=\"module\" src=").count(),
            "{path}"
        );
    }
}
