//! The live page: events as they come, one stream for all pages of a browser.

use serde_json::Value;
use testkit::browser::ChromeDriver;

use super::window::Browser;
use crate::support::{CHANNEL, Engine, Installation, until};

/// How many events of a message the page shows.
async fn shown(browser: &Browser, sid: &str) -> u64 {
    let script = format!(
        "return [...document.querySelectorAll('tbody a.sid')].filter(a => a.textContent === '{sid}').length"
    );
    browser.run(&script).await.as_u64().unwrap()
}

/// Whether the page holds the stream of the browser.
async fn holds_stream(browser: &Browser) -> bool {
    let script = "
        const done = arguments[arguments.length - 1];
        navigator.locks.query().then(({held}) => done(held.filter(({name}) => name === 'receiptd-live').length));";
    let held = browser.window.execute_async(script, Vec::new()).await;
    held.unwrap().json() == &Value::from(1)
}

#[tokio::test]
async fn pages_of_a_browser_share_one_stream_and_continue_when_one_closes() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    home.run("channel add other --name Other --user someone");
    let server = home.serve();
    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "live", &server).await;
    browser.sign_in().await;
    browser.visit("/live").await;
    let first = browser.window.window().await.unwrap();
    until("a page has the stream", async || {
        holds_stream(&browser).await
    })
    .await;
    assert_eq!(server.report("SM1", "sent").await, 204);
    until("an event is shown", async || {
        shown(&browser, "SM1").await == 1
    })
    .await;

    // A page that opens later shows what came before it, and then the same events.
    let second = browser.window.new_tab().await.unwrap();
    browser.window.switch_to_window(second).await.unwrap();
    browser.visit("/live").await;
    assert_eq!(shown(&browser, "SM1").await, 1);
    assert_eq!(server.report("SM2", "sent").await, 204);
    until("the second page shows it", async || {
        shown(&browser, "SM2").await == 1
    })
    .await;

    // One that is about another channel does not.
    let third = browser.window.new_tab().await.unwrap();
    browser
        .window
        .switch_to_window(third.clone())
        .await
        .unwrap();
    browser.visit("/live?channel=other").await;
    assert_eq!(server.report("SM3", "sent").await, 204);

    // The page with the stream closes: another one continues, without gap or repetition.
    browser.window.switch_to_window(first).await.unwrap();
    until("the first page shows it", async || {
        shown(&browser, "SM3").await == 1
    })
    .await;
    browser.window.close_window().await.unwrap();
    let handles = browser.window.windows().await.unwrap();
    browser
        .window
        .switch_to_window(handles[0].clone())
        .await
        .unwrap();
    until("another page has the stream", async || {
        holds_stream(&browser).await
    })
    .await;
    assert_eq!(server.report("SM4", "sent").await, 204);
    until("it is shown", async || shown(&browser, "SM4").await == 1).await;
    for sid in ["SM1", "SM2", "SM3"] {
        assert_eq!(shown(&browser, sid).await, 1, "{sid}");
    }
    browser.window.switch_to_window(third).await.unwrap();
    assert_eq!(shown(&browser, "SM4").await, 0);
    let path = format!("/live?channel={CHANNEL}");
    browser.visit(&path).await;
    assert_eq!(shown(&browser, "SM4").await, 1);
    browser.close().await;
}

#[tokio::test]
async fn paused_page_counts_new_events_and_shows_them_on_request() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = home.serve();
    let driver = ChromeDriver::start().unwrap();
    let browser = Browser::open(&driver, "paused", &server).await;
    browser.sign_in().await;
    browser.visit("/live").await;
    until("a page has the stream", async || {
        holds_stream(&browser).await
    })
    .await;
    browser.press("Pause").await;
    for sid in ["SM1", "SM2"] {
        assert_eq!(server.report(sid, "sent").await, 204);
    }
    let more = async || {
        let button = browser.find("[data-live-more]").await;
        button.text().await.unwrap() == "2 new: show"
    };
    until("they are counted", more).await;
    assert_eq!(shown(&browser, "SM1").await, 0);
    browser.press("2 new: show").await;
    until("they are shown", async || shown(&browser, "SM2").await == 1).await;
    assert_eq!(shown(&browser, "SM1").await, 1);
    browser.close().await;
}
