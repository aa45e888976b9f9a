//! The console of the built program.

use rstest::rstest;
use testkit::builders::twilio_sid;

use super::support::{ADMIN_TOKEN, CHANNEL, Engine, Installation, Server, client, until};

/// A browser that is signed in.
struct Browser<'a> {
    server: &'a Server,
    client: reqwest::Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    /// Signs in with the bootstrap token.
    async fn sign_in(server: &'a Server) -> Self {
        let client = client();
        let form = [("token", ADMIN_TOKEN), ("next", "/console/")];
        let request = client
            .post(format!("{}/console/sign-in", server.operator))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(form).unwrap());
        // The answer is a redirect, whose cookie must be kept.
        let answer = without_redirects(request).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self {
            server,
            client,
            cookie,
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.server.operator);
        let answer = self.client.get(url).header("cookie", &self.cookie).send();
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

async fn without_redirects(request: reqwest::RequestBuilder) -> reqwest::Response {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    client.execute(request.build().unwrap()).await.unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn console_shows_what_was_reported(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let sid = twilio_sid(1);
    assert_eq!(server.report(&sid, "delivered").await, 204);
    let browser = Browser::sign_in(&server).await;
    let message = format!("/console/messages/{CHANNEL}/{sid}");
    let (status, page) = browser.get(&message).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Delivered to the recipient"), "{page}");
    for path in [
        "/console/trouble",
        "/console/messages",
        "/console/live",
        "/console/rejections",
        "/console/channels",
        "/console/subscriptions",
        "/console/tokens",
        "/console/sessions",
        "/console/audit",
        "/console/erasures",
        "/console/about",
    ] {
        assert_eq!(browser.get(path).await.0, 200, "{path}");
    }
    let (_, about) = browser.get("/console/about").await;
    assert!(about.contains("RECEIPTD_TWILIO_API_URL"), "{about}");
    assert!(!about.contains(ADMIN_TOKEN), "{about}");
    until("the message is counted", async || {
        let (status, page) = browser.get("/console/").await;
        assert_eq!(status, 200, "{page}");
        page.contains("of 1 message arrived")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_has_the_limits_of_the_operators_listener() {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    let page = format!("{}/console/sign-in", server.operator);
    let rebound = client().get(&page).header("host", "rebind.example.net");
    assert_eq!(rebound.send().await.unwrap().status(), 421);
    let large = client()
        .post(&page)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={}", "a".repeat(1_100_000)));
    assert_eq!(large.send().await.unwrap().status(), 413);
    let start = client().get(format!("{}/", server.operator)).send().await;
    assert_eq!(start.unwrap().url().path(), "/console/sign-in");
}
