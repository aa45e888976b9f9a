//! A browser window on a running console.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::browser::{ARGUMENTS, ChromeDriver};
use thirtyfour::error::WebDriverResult;
use thirtyfour::extensions::query::ElementWaitable as _;
use thirtyfour::{By, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement};

use crate::support::{ADMIN_TOKEN, Server, use_ring};

/// The longest time that a test waits for a page or an element.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until the page of an element is replaced, so that no later navigation is overtaken.
async fn left(element: WebElement) {
    let page = element.wait_until();
    let replaced = page.wait(TIMEOUT, Duration::from_millis(20)).stale().await;
    replaced.expect("the page is replaced");
}

/// A window of a browser with a profile of its own.
pub struct Browser {
    pub window: WebDriver,
    console: String,
}

impl Browser {
    /// Opens a window on the console of a server.
    pub async fn open(driver: &ChromeDriver, profile: &str, server: &Server) -> Self {
        use_ring();
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            capabilities.add_arg(argument).unwrap();
        }
        capabilities.add_arg(&driver.profile(profile)).unwrap();
        let window = WebDriver::new(driver.url(), capabilities).await.unwrap();
        window.set_page_load_timeout(TIMEOUT).await.unwrap();
        window.set_implicit_wait_timeout(TIMEOUT).await.unwrap();
        Self {
            window,
            console: format!("{}/console", server.operator),
        }
    }

    /// Opens a page by its path below `/console`.
    pub async fn visit(&self, path: &str) {
        let url = format!("{}{path}", self.console);
        self.window.goto(url.as_str()).await.unwrap();
    }

    /// Signs in with a token.
    pub async fn sign_in_with(&self, token: &str) {
        self.visit("/sign-in").await;
        self.fill("token", token).await;
        self.press("Sign in").await;
        self.find("nav a[aria-current=page]").await;
    }

    /// Signs in with the admin token.
    pub async fn sign_in(&self) {
        self.sign_in_with(ADMIN_TOKEN).await;
    }

    /// Returns the element of a CSS selector; waits for it.
    pub async fn find(&self, selector: &str) -> WebElement {
        let found = self.window.find(By::Css(selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{selector}: {error}\n{}", self.text().await),
        }
    }

    /// Types into a field; replaces what is there.
    pub async fn fill(&self, id: &str, text: &str) {
        let field = self.find(&format!("#{id}")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses a button by its word. If it sends a form, waits until the answer replaces the page.
    pub async fn press(&self, word: &str) {
        let path = format!("//button[normalize-space()='{word}']");
        let button = self.window.find(By::XPath(path)).await.unwrap();
        let sends =
            "return arguments[0].type === 'submit' && arguments[0].form?.checkValidity() === true";
        let sends = self.window.execute(sends, vec![button.to_json().unwrap()]);
        let sends = sends.await.unwrap().json() == true;
        button.click().await.unwrap();
        if sends {
            left(button).await;
        }
    }

    /// Follows the link of a CSS selector; waits until its page replaces this one.
    pub async fn follow(&self, selector: &str) {
        let link = self.find(selector).await;
        link.click().await.unwrap();
        left(link).await;
    }

    /// Returns the visible text of the page.
    pub async fn text(&self) -> String {
        // While it is read, the page may be replaced by the one that a button leads to.
        for _ in 0..50 {
            if let Ok(text) = self.try_text().await {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.try_text().await.unwrap()
    }

    async fn try_text(&self) -> WebDriverResult<String> {
        self.window.find(By::Css("body")).await?.text().await
    }

    /// Returns the URL of the page.
    pub async fn url(&self) -> String {
        self.window.current_url().await.unwrap().to_string()
    }

    /// Runs a script in the page and returns its result.
    pub async fn run(&self, script: &str) -> Value {
        let returned = self.window.execute(script, Vec::new()).await.unwrap();
        returned.json().clone()
    }

    /// Sets the width of the page and what it hears about the user's preferred theme.
    pub async fn emulate(&self, width: u32, theme: &str) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        let cdp = self.window.cdp();
        let sized = cdp.send_raw("Emulation.setDeviceMetricsOverride", screen);
        sized.await.unwrap();
        let themed = cdp.send_raw("Emulation.setEmulatedMedia", media);
        themed.await.unwrap();
    }

    /// Sets whether pages may run scripts.
    pub async fn allow_scripts(&self, allowed: bool) {
        let value = json!({"value": !allowed});
        let cdp = self.window.cdp();
        let set = cdp.send_raw("Emulation.setScriptExecutionDisabled", value);
        set.await.unwrap();
    }

    /// Saves what the whole page looks like.
    pub async fn save_screenshot(&self, path: &Path) {
        use base64::Engine as _;
        let whole = json!({"captureBeyondViewport": true});
        let cdp = self.window.cdp();
        let taken = cdp.send_raw("Page.captureScreenshot", whole);
        let taken = taken.await.unwrap();
        let image = base64::engine::general_purpose::STANDARD
            .decode(taken["data"].as_str().unwrap())
            .unwrap();
        std::fs::write(path, image).unwrap();
    }

    /// Ends the browser.
    pub async fn close(self) {
        self.window.quit().await.unwrap();
    }
}

/// Returns the source of axe-core, which finds barriers for people with disabilities.
pub fn axe(folder: &Path) -> String {
    testkit::browser::install_npm().unwrap();
    let npm = |arguments: &[&str], program: &str| {
        let output = Command::new(program)
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {printed}");
    };
    npm(&["pack", "--silent", "axe-core@4.14.1"], "npm");
    let file = "package/axe.min.js";
    npm(&["xzf", "axe-core-4.14.1.tgz", file], "tar");
    std::fs::read_to_string(folder.join(file)).unwrap()
}
