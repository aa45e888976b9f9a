//! Every page: no barriers, no overflow, no script error; what it looks like is saved.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::browser::ChromeDriver;

use super::window::{Browser, axe};
use crate::support::{Engine, Installation};

/// The pages that need no id.
const PAGES: [(&str, &str); 20] = [
    ("overview", "/"),
    ("overview-week", "/?range=7d"),
    ("trouble", "/trouble"),
    ("rules", "/trouble/rules"),
    ("rules-of-channel", "/channels/demo-campaigns/rules"),
    ("messages", "/messages?range=all"),
    ("messages-none", "/messages?code=99999"),
    ("channels", "/channels"),
    ("channel-new", "/channels/new"),
    ("channel", "/channels/demo-campaigns"),
    ("channel-edit", "/channels/demo-campaigns/edit"),
    ("live", "/live"),
    ("rejections", "/rejections"),
    ("subscriptions", "/subscriptions"),
    ("subscription-new", "/subscriptions/new"),
    ("sessions", "/sessions"),
    ("tokens", "/tokens"),
    ("audit", "/audit"),
    ("erasures", "/erasures"),
    ("about", "/about"),
];

/// The largest size of a page in bytes.
const MAX_PAGE_BYTES: u64 = 150_000;

/// What opens on the list of messages.
const MENUS: [(&str, &str); 2] = [
    ("views-opened", ".menu-box.end > summary"),
    ("time-opened", ".filter-line .menu-box > summary"),
];

/// The widths and themes that pages are shown in.
const LOOKS: [(u32, &str); 4] = [
    (1440, "light"),
    (1440, "dark"),
    (768, "light"),
    (360, "dark"),
];

/// What `axe.run` is asked for: the rules of WCAG 2.2 AA.
const RUN_AXE: &str = "
    const done = arguments[arguments.length - 1];
    const only = {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']};
    axe.run(arguments[0], {runOnly: only}).then(
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

/// Returns the serious barriers within the elements of a CSS selector.
async fn violations(browser: &Browser, axe: &str, within: &str) -> Vec<Value> {
    browser.window.execute(axe, Vec::new()).await.unwrap();
    let found = browser
        .window
        .execute_async(RUN_AXE, vec![within.into()])
        .await;
    let found = found.unwrap().json().clone();
    let found = found.as_array().unwrap().iter();
    let serious =
        |violation: &&Value| matches!(violation[0].as_str(), Some("serious" | "critical"));
    found.filter(serious).cloned().collect()
}

/// Says so if the page is wider than its window.
async fn overflow(browser: &Browser, name: &str, width: u32) -> Option<String> {
    let overflow = "return document.documentElement.scrollWidth > innerWidth";
    let is_wider = browser.run(overflow).await == Value::Bool(true);
    is_wider.then(|| format!("{name} is wider than {width}"))
}

/// Looks at what is opened or answered on pages, and returns what is wrong.
async fn problems_of_parts(browser: &Browser, folder: &Path, axe: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (width, theme) in LOOKS {
        browser.emulate(width, theme).await;
        browser.visit("/messages?range=all").await;
        for (name, menu) in MENUS {
            browser.find(menu).await.click().await.unwrap();
            let image = folder.join(format!("{name}-{width}-{theme}.png"));
            browser.save_screenshot(&image).await;
            problems.extend(overflow(browser, name, width).await);
            // The panel covers a part of the page, whose barriers are found without it.
            for violation in violations(browser, axe, ".menu-box[open]").await {
                problems.push(format!("{name} {width} {theme}: {violation}"));
            }
            browser.find(menu).await.click().await.unwrap();
        }
        browser.visit("/channels/demo-support").await;
        browser.press("Send a test report").await;
        browser.find("a.button.primary").await;
        let image = folder.join(format!("channel-tested-{width}-{theme}.png"));
        browser.save_screenshot(&image).await;
        problems.extend(overflow(browser, "channel-tested", width).await);
        for violation in violations(browser, axe, "html").await {
            problems.push(format!("channel-tested {width} {theme}: {violation}"));
        }
    }
    problems
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
    assert_eq!(violations(&browser, &axe, "html").await, [Value::Null; 0]);
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
        for (width, theme) in LOOKS {
            browser.emulate(width, theme).await;
            browser.visit(path).await;
            browser.find("main h1").await;
            let image = folder.join(format!("{name}-{width}-{theme}.png"));
            browser.save_screenshot(&image).await;
            problems.extend(overflow(&browser, name, width).await);
            let size = "return performance.getEntriesByType('navigation')[0].decodedBodySize";
            let size = browser.run(size).await.as_u64().unwrap();
            if size > MAX_PAGE_BYTES {
                problems.push(format!("{name} has {size} bytes"));
            }
            for violation in violations(&browser, &axe, "html").await {
                problems.push(format!("{name} {width} {theme}: {violation}"));
            }
        }
    }
    problems.extend(problems_of_parts(&browser, &folder, &axe).await);
    browser.close().await;
    assert!(problems.is_empty(), "{problems:#?}");
}
