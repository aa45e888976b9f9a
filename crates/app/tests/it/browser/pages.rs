//! Every page: no barriers, no overflow, no script error; what it looks like is saved.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testkit::browser::ChromeDriver;

use super::window::{Browser, axe};
use crate::support::{Engine, Installation};

/// The pages that need no id.
const PAGES: [(&str, &str); 13] = [
    ("overview", "/"),
    ("overview-week", "/?range=7d"),
    ("messages", "/messages?range=all"),
    ("messages-none", "/messages?code=99999"),
    ("channels", "/channels"),
    ("channel-new", "/channels/new"),
    ("channel", "/channels/demo-campaigns"),
    ("rejections", "/rejections"),
    ("subscriptions", "/subscriptions"),
    ("tokens", "/tokens"),
    ("audit", "/audit"),
    ("erasures", "/erasures"),
    ("about", "/about"),
];

/// The largest size of a page in bytes.
const MAX_PAGE_BYTES: u64 = 150_000;

/// What `axe.run` is asked for: the rules of WCAG 2.2 AA.
const RUN_AXE: &str = "
    const done = arguments[arguments.length - 1];
    const only = {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']};
    axe.run(document, {runOnly: only}).then(
        result => done(result.violations.map(violation => [
            violation.impact, violation.id, violation.nodes.map(node => node.html).slice(0, 3)
        ])),
        error => done([['critical', String(error), []]]),
    );";

fn screenshots() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn violations(browser: &Browser, axe: &str) -> Vec<Value> {
    browser.window.execute(axe, Vec::new()).await.unwrap();
    let found = browser.window.execute_async(RUN_AXE, Vec::new()).await;
    let found = found.unwrap().json().clone();
    let found = found.as_array().unwrap().iter();
    let serious =
        |violation: &&Value| matches!(violation[0].as_str(), Some("serious" | "critical"));
    found.filter(serious).cloned().collect()
}

#[tokio::test]
async fn pages_have_no_barriers_and_fit_every_width() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("demo");
    let server = home.serve();
    let driver = ChromeDriver::start().unwrap();
    let axe = axe(home.folder.path());
    let folder = screenshots();
    let browser = Browser::open(&driver, "pages", &server).await;

    browser.visit("/sign-in").await;
    assert_eq!(violations(&browser, &axe).await, [Value::Null; 0]);
    browser.save_screenshot(&folder.join("sign-in.png")).await;
    browser.sign_in().await;
    browser.visit("/messages?range=all&status=failed").await;
    let message = browser
        .find("a.sid")
        .await
        .attr("href")
        .await
        .unwrap()
        .unwrap();
    let message = message.trim_start_matches("/console").to_owned();
    let pages = PAGES.into_iter().chain([("message", message.as_str())]);
    let mut problems = Vec::new();
    for (name, path) in pages {
        for (width, theme) in [
            (1440, "light"),
            (1440, "dark"),
            (768, "light"),
            (360, "dark"),
        ] {
            browser.emulate(width, theme).await;
            browser.visit(path).await;
            browser.find("main h1").await;
            let image = folder.join(format!("{name}-{width}-{theme}.png"));
            browser.save_screenshot(&image).await;
            let overflow = "return document.documentElement.scrollWidth > innerWidth";
            if browser.run(overflow).await == Value::Bool(true) {
                problems.push(format!("{name} is wider than {width}"));
            }
            let size = "return performance.getEntriesByType('navigation')[0].decodedBodySize";
            let size = browser.run(size).await.as_u64().unwrap();
            if size > MAX_PAGE_BYTES {
                problems.push(format!("{name} has {size} bytes"));
            }
            for violation in violations(&browser, &axe).await {
                problems.push(format!("{name} {width} {theme}: {violation}"));
            }
        }
    }
    browser.close().await;
    assert!(problems.is_empty(), "{problems:#?}");
}
