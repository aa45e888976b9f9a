//! What operators do, from sign-in to result.

use testkit::browser::ChromeDriver;

use super::window::Browser;
use crate::support::{Engine, Installation, Server, client, until};

const NUMBER: &str = "+15550100001";

async fn send_report(callback_url: &str, sid: &str, status: &str) -> u16 {
    let body = traffic::form::encode(&traffic::form::required_fields(sid, status));
    let (url, _) = callback_url.split_once('#').unwrap_or((callback_url, ""));
    let request = client()
        .post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    request.send().await.unwrap().status().as_u16()
}

/// Fills in the form for a new channel, and returns its callback URL with the password.
async fn create_channel(browser: &Browser) -> String {
    browser.visit("/channels/new").await;
    browser.fill("name", "Orders").await;
    browser.fill("id", "orders").await;
    browser.fill("user", "twilio").await;
    browser.press("Create channel").await;
    browser.find("#url").await.text().await.unwrap()
}

async fn console() -> (Installation, Server, ChromeDriver) {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    (home, server, ChromeDriver::start().unwrap())
}

#[tokio::test]
async fn new_channel_receives_a_report_and_its_message_is_found() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "operator", &server).await;
    browser.visit("/messages").await;
    assert!(browser.url().await.contains("/console/sign-in"));
    browser.sign_in().await;
    let url = create_channel(&browser).await;
    let sid = traffic_sid(1);
    assert_eq!(send_report(&url, &sid, "sent").await, 204);
    assert_eq!(send_report(&url, &sid, "delivered").await, 204);

    browser.visit("/messages").await;
    browser.follow("a.sid").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(page.to_lowercase().contains("delivered"), "{page}");
    assert!(!page.contains(NUMBER), "{page}");

    // A search by number leaves no number in the URL, the history or the log.
    until("the recipient is listed", async || {
        browser.visit("/messages").await;
        browser.fill("q", NUMBER).await;
        browser.press("Search").await;
        browser.text().await.contains(&sid[..6])
    })
    .await;
    let found = browser.find("a.sid").await.text().await.unwrap();
    assert!(found.contains(&sid[..6]), "{found}");
    let digits = NUMBER.trim_start_matches('+');
    let address = browser.url().await;
    assert!(!address.contains(digits), "{address}");
    assert!(!server.log().contains(digits));
    browser.close().await;
}

#[tokio::test]
async fn test_report_of_a_new_channel_leads_to_its_message() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "tester", &server).await;
    browser.sign_in().await;
    create_channel(&browser).await;
    // The copied URL is the one that is shown.
    let copy = "
        const done = arguments[arguments.length - 1];
        Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => done(text)}});
        document.querySelector('[data-copy=url]').click();";
    let copied = browser
        .window
        .execute_async(copy, Vec::new())
        .await
        .unwrap();
    let url = browser.find("#url").await.text().await.unwrap();
    assert_eq!(copied.json().as_str(), Some(url.as_str()));
    browser.visit("/channels/orders").await;
    browser.press("Send a test report").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(page.contains("Received"), "{page}");
    for step in [
        "Look up the host",
        "Ask for credentials",
        "Show the message",
    ] {
        assert!(page.contains(step), "{step}: {page}");
    }
    browser.follow("a.button.primary").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(
        page.contains("the message of a test of the channel"),
        "{page}"
    );
    assert!(
        page.contains("Delivered to the recipient's device"),
        "{page}"
    );
    // It counts nowhere.
    browser.visit("/").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(page.contains("No message was reported"), "{page}");
    browser.close().await;
}

#[tokio::test]
async fn channel_of_meta_is_verified_and_receives_a_signed_test_report() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "meta", &server).await;
    browser.sign_in().await;
    browser.visit("/channels/new").await;
    browser.fill("name", "Cloud").await;
    browser.fill("id", "cloud").await;
    browser.fill("user", "verify").await;
    browser
        .run("document.getElementById('integrator').value = 'meta'")
        .await;
    browser
        .find("form.form details > summary")
        .await
        .click()
        .await
        .unwrap();
    browser.fill("signing_token", "0123456789abcdef").await;
    browser.press("Create channel").await;
    let page = browser.text().await;
    assert!(page.contains("app secret"), "{page}");
    let url = browser.find("#url").await.text().await.unwrap();
    let token = browser.find("#password").await.text().await.unwrap();
    // What Meta sends when an operator presses Verify and save.
    let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token";
    let handshake = client().get(format!("{url}?{query}={token}"));
    let answer = handshake.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.text().await.unwrap(), "1158201444");
    browser.visit("/channels/cloud").await;
    browser.press("Send a test report").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(page.contains("Received"), "{page}");
    browser.follow("a.button.primary").await;
    let page = browser.find("main").await.text().await.unwrap();
    assert!(
        page.contains("the message of a test of the channel"),
        "{page}"
    );
    browser.close().await;
}

#[tokio::test]
async fn filtered_list_is_saved_as_a_view() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "views", &server).await;
    browser.sign_in().await;
    browser.visit("/messages?status=failed&range=30d").await;
    browser
        .find(".menu-box.end > summary")
        .await
        .click()
        .await
        .unwrap();
    browser.fill("view-name", "Failed lately").await;
    browser.press("Save this view").await;
    assert!(browser.text().await.contains("The view was saved"));
    browser.visit("/").await;
    browser
        .find(".menu-box.end > summary")
        .await
        .click()
        .await
        .unwrap();
    browser.follow(".views a").await;
    browser.find("[name=range]").await;
    let address = browser.url().await;
    assert!(
        address.ends_with("/console/messages?status=failed&range=30d"),
        "{address}"
    );
    browser.close().await;
}

fn traffic_sid(number: u32) -> String {
    format!("SM{number:032x}")
}

#[tokio::test]
async fn viewer_cannot_change_or_reveal() {
    let (home, server, driver) = console().await;
    let admin = Browser::open(&driver, "admin", &server).await;
    admin.sign_in().await;
    let url = create_channel(&admin).await;
    assert_eq!(send_report(&url, &traffic_sid(1), "delivered").await, 204);
    admin.close().await;
    let token = home.json("token add reader --role viewer");
    let token = token["token"].as_str().unwrap();

    let viewer = Browser::open(&driver, "viewer", &server).await;
    viewer.sign_in_with(token).await;
    viewer.visit("/channels/orders").await;
    let page = viewer.text().await;
    for word in [
        "Edit settings",
        "Switch off",
        "Replace the password",
        "Remove",
    ] {
        assert!(!page.contains(word), "{word} is offered: {page}");
    }
    // What the page does not offer, the server refuses.
    let post = "
        const done = arguments[arguments.length - 1];
        const field = document.querySelector('[name=csrf]');
        const body = new URLSearchParams({csrf: field.value});
        fetch('/console/channels/orders/disable', {method: 'POST', body}).then(
            answer => done(answer.status));";
    let status = viewer.window.execute_async(post, Vec::new()).await.unwrap();
    assert_eq!(status.json().as_u64(), Some(403));
    viewer.visit("/messages").await;
    viewer.follow("a.sid").await;
    let page = viewer.find("main").await.text().await.unwrap();
    assert!(!page.contains("Show numbers"), "{page}");
    viewer.close().await;
}

#[tokio::test]
async fn password_is_rotated_while_reports_flow() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "operator", &server).await;
    browser.sign_in().await;
    let old = create_channel(&browser).await;
    assert_eq!(send_report(&old, &traffic_sid(1), "sent").await, 204);
    browser.visit("/channels/orders").await;
    browser.press("Replace the password").await;
    let new = browser.find("#url").await.text().await.unwrap();
    assert_ne!(old, new);
    for (url, status) in [(&old, "delivered"), (&new, "read")] {
        assert_eq!(send_report(url, &traffic_sid(1), status).await, 204);
    }
    browser.visit("/messages").await;
    browser.follow("a.sid").await;
    for status in ["sent", "delivered", "read"] {
        browser.find("ol.report-list").await;
        let page = browser.text().await.to_lowercase();
        assert!(page.contains(status), "{status}: {page}");
    }
    browser.close().await;
}

#[tokio::test]
async fn trouble_opens_is_snoozed_and_resolves() {
    let home = Installation::new(Engine::Sqlite).await;
    let mut command = home.command("serve");
    command.env("RECEIPTD_TROUBLE_INTERVAL_SECONDS", "1");
    let server = Server::start(command);
    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "operator", &server).await;
    browser.sign_in().await;
    let url = create_channel(&browser).await;
    browser.visit("/trouble").await;
    assert!(browser.text().await.contains("Nothing is open"));
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, without_credentials) = rest.split_once('@').unwrap();
    let without_credentials = format!("{scheme}://{without_credentials}");
    for number in 0..12 {
        let refused = send_report(&without_credentials, &traffic_sid(number), "sent").await;
        assert_eq!(refused, 401);
    }
    let shows = async |path: &str, text: &str| {
        until(text, async || {
            browser.visit(path).await;
            browser.text().await.contains(text)
        })
        .await;
    };
    shows("/trouble", "12 requests without credentials").await;
    shows("/", "Called without credentials only").await;
    browser.visit("/trouble").await;
    let summary = "[...document.querySelectorAll('summary')].at(-1).click()";
    browser.run(summary).await;
    let reason = browser.find("input[name=reason]").await;
    reason.send_keys("the password is being set").await.unwrap();
    browser.press("Snooze").await;
    let page = browser.text().await;
    assert!(page.contains("the password is being set"), "{page}");
    assert!(page.contains("Nothing is open"), "{page}");
    assert_eq!(send_report(&url, &traffic_sid(1), "delivered").await, 204);
    until("the trouble is in the list of resolved ones", async || {
        browser.visit("/trouble").await;
        let rows = "return document.querySelectorAll('#resolved tbody tr').length";
        browser.run(rows).await.as_u64() == Some(1)
    })
    .await;
    let page = browser.text().await;
    assert!(!page.contains("the password is being set"), "{page}");
    browser.close().await;
}

#[tokio::test]
async fn console_works_without_scripts() {
    let (_home, server, driver) = console().await;
    let browser = Browser::open(&driver, "plain", &server).await;
    browser.allow_scripts(false).await;
    browser.sign_in().await;
    let url = create_channel(&browser).await;
    assert_eq!(send_report(&url, &traffic_sid(7), "read").await, 204);
    browser.visit("/").await;
    let counted = async || {
        browser.visit("/messages").await;
        browser.text().await.contains("SM0000")
    };
    until("the message is listed", counted).await;
    browser.visit("/live").await;
    browser.find("main h1").await;
    browser.close().await;
}
