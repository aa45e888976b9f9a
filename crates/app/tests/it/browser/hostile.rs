//! Values from reports and operators that try to be more than text.

use testkit::browser::ChromeDriver;

use super::window::Browser;
use crate::support::{Engine, Installation, client};

/// Closes attributes and elements, and would run if any page took it for markup.
const HOSTILE: &str =
    "\"'><img src=x onerror=document.title='taken'><script>document.title='taken'</script>{{7*7}}";

/// The same for names with a limited length.
const SHORT: &str = "\"><img src=x onerror=document.title='taken'>";

#[tokio::test]
async fn hostile_values_stay_text_on_every_page() {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "hostile", &server).await;
    browser.sign_in().await;
    browser.visit("/channels/new").await;
    browser.fill("name", SHORT).await;
    browser.fill("id", "hostile").await;
    browser.fill("user", "a\"><b>").await;
    browser.press("Create channel").await;
    let url = browser.find("#url").await.text().await.unwrap();
    let (url, _) = url.split_once('#').unwrap();
    let sid = "SM1\"><img/src=x/onerror=document.title='taken'>";
    for (status, accepted) in [("undelivered", 204), (SHORT, 204), ("", 400)] {
        let fields = [
            ("MessageSid", sid),
            ("MessageStatus", status),
            ("To", HOSTILE),
            ("From", HOSTILE),
            ("ErrorCode", "63016"),
            ("ErrorMessage", HOSTILE),
            (HOSTILE, HOSTILE),
            ("ChannelStatusMessage", HOSTILE),
        ];
        let request = client()
            .post(url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(fields).unwrap());
        assert_eq!(request.send().await.unwrap().status(), accepted, "{status}");
    }
    browser.visit("/subscriptions/new").await;
    browser
        .fill("url", "https://example.com/hook?<script>")
        .await;
    browser.fill("description", SHORT).await;
    browser.press("Create subscription").await;
    browser.visit("/messages?range=all").await;
    let link = browser.find("a.sid").await.attr("href").await.unwrap();
    let message = link.unwrap().trim_start_matches("/console").to_owned();
    for path in [
        "/",
        "/messages",
        "/messages?range=all&code=%3Cscript%3E",
        &message,
        "/live",
        "/rejections",
        "/channels",
        "/channels/hostile",
        "/channels/hostile/edit",
        "/subscriptions",
        "/tokens",
        "/sessions",
        "/audit",
        "/erasures",
        "/about",
        "/messages/hostile/%3Cscript%3E",
    ] {
        browser.visit(path).await;
        browser.find("h1").await;
        let found = browser
            .run(
                "return [document.title, document.querySelectorAll('img[src=\"x\"], main script').length, \
                 document.body.innerText.includes('49')]",
            )
            .await;
        let title = found[0].as_str().unwrap();
        assert!(title != "taken", "{path}");
        assert_eq!(found[1], 0, "{path}");
    }
    // Unmasked, too.
    browser.visit(&message).await;
    browser.press("Show numbers and fields").await;
    let text = browser.find("main").await.text().await.unwrap();
    assert!(text.contains("onerror=document.title"), "{text}");
    let images = "return document.querySelectorAll('img[src=\"x\"]').length";
    assert_eq!(browser.run(images).await, 0);
    browser.close().await;
}

#[tokio::test]
async fn console_cannot_be_framed_or_followed_by_scripts_of_others() {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "framed", &server).await;
    browser.sign_in().await;
    // The policy of the console forbids what an injected script would need.
    let refused = "
        const done = arguments[arguments.length - 1];
        const violations = [];
        document.addEventListener('securitypolicyviolation', event => violations.push(event.effectiveDirective));
        const refused = [];
        const add = (name, set) => {
            const made = document.createElement(name);
            try { set(made); } catch { refused.push(name); }
            document.body.append(made);
        };
        add('script', made => { made.textContent = 'document.title = \"taken\"'; });
        add('iframe', made => { made.src = '/console/'; });
        add('img', made => { made.src = 'https://example.com/track.png'; });
        add('link', made => { made.rel = 'stylesheet'; made.href = 'https://example.com/a.css'; });
        fetch('https://example.com/').catch(() => {});
        try { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); }
        catch { refused.push('html'); }
        setTimeout(() => done([document.title, violations, refused]), 500);";
    let found = browser.window.execute_async(refused, Vec::new()).await;
    let found = found.unwrap().json().clone();
    assert_ne!(found[0], "taken");
    let violations = found[1].to_string();
    for directive in ["frame-src", "img-src", "style-src-elem", "connect-src"] {
        assert!(violations.contains(directive), "{directive}: {violations}");
    }
    // Scripts and markup from texts are refused before they exist.
    assert_eq!(found[2], serde_json::json!(["script", "html"]));
    browser.close().await;
}
