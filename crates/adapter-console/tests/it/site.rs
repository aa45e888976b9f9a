//! A console on an in-memory store, and browsers that use it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::Request;
use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::test::{self, TestRequest};
use actix_web::{App, web};
use adapter_console::{ConsoleState, Installation, SettingRow};
use domain::access::{ConsoleUrl, OperatorName, Rights, Role, TokenHash};
use domain::statistics::{Counts, Interval, RequestOutcome, quarter_hour};
use domain::{Channel, ChannelCalls, Credential, PublicUrl, Report};
use futures_util::future::LocalBoxFuture;
use ports::channels::Change;
use ports::{ChannelStore, ReportStore as _, Statistics as _, Store};
use testkit::builders::{channel_id, credential, server_secret, time};
use testkit::clock::{FixedClock, UtcDays};
use testkit::memory::MemoryStore;
use testkit::probe::UnresolvedHost;
use tokio::sync::watch;
use tokio::task::LocalSet;
use usecases::access::AccessControl;
use usecases::access::manage_tokens::NewToken;
use usecases::channels::channel_test::TestDependencies;
use usecases::subscriptions::SubscriptionDependencies;
use usecases::{
    AllowSender, ChannelDirectory, CheckHealth, EraseRecipient, ForwardingFigures, Integrators,
    ListErasures, ListMessages, ListRejections, LogTailCache, ManageChannels, ManageReconciliation,
    ManageSubscriptions, ManageTroubles, ReadEvents, ReadStatistics, RecipientLinks, RuntimeHandle,
    SavedViews, ShowMessage, TestChannel,
};

use crate::endpoint::AcceptingEndpoint;

/// The bootstrap token.
pub(crate) const ADMIN_TOKEN: &str = "the-admin-token-of-tests";

/// The public URL of the receiver.
pub(crate) const PUBLIC_URL: &str = "https://reports.example.com";

/// An answer, read to its end.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    headers: actix_web::http::header::HeaderMap,
}

impl Answered {
    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns where it redirects to.
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.header("location").expect("a redirect has a target")
    }

    /// Fails unless the page is shown, and returns it.
    pub(crate) fn page(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.text
    }
}

type Call = Rc<dyn Fn(Request) -> LocalBoxFuture<'static, ServiceResponse>>;

/// A console.
pub(crate) struct Site {
    /// The tasks that requests have started.
    pub(crate) tasks: Rc<LocalSet>,
    call: Call,
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) access: AccessControl,
}

/// Starts a console that browsers reach at a URL.
pub(crate) async fn at(url: &str) -> Site {
    let store = MemoryStore::new();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let clock = Arc::new(FixedClock::default());
    let (state, access) = state(&shared, &clock, ConsoleUrl::parse(url).unwrap());
    state.directory.refresh().await.unwrap();
    let runtime = RuntimeHandle::here().unwrap();
    let console = adapter_console::configure(state, runtime);
    let app = App::new().service(web::scope("/console").configure(console));
    let app = Rc::new(test::init_service(app).await);
    let tasks = Rc::new(LocalSet::new());
    let call: Call = {
        let tasks = Rc::clone(&tasks);
        Rc::new(move |request| {
            let (app, tasks) = (Rc::clone(&app), Rc::clone(&tasks));
            let answer = async move { test::call_service(&*app, request).await };
            Box::pin(async move { tasks.run_until(answer).await })
        })
    };
    Site {
        tasks,
        call,
        store,
        clock,
        access,
    }
}

/// Starts a console on this machine, without encryption.
pub(crate) async fn local() -> Site {
    at("http://127.0.0.1:8081").await
}

fn state(
    store: &Arc<dyn Store>,
    clock: &Arc<FixedClock>,
    url: ConsoleUrl,
) -> (ConsoleState, AccessControl) {
    let metrics = Arc::new(ports::metrics::NoMetrics);
    let directory = Arc::new(ChannelDirectory::new(
        store.clone(),
        server_secret(),
        metrics,
    ));
    let log = Arc::new(LogTailCache::new(store.clone()));
    let bootstrap = TokenHash::of(ADMIN_TOKEN.as_bytes());
    let access = AccessControl::new(store.clone(), store.clone(), bootstrap, clock.clone());
    let manage = Arc::new(ManageChannels::new(
        store.clone(),
        Integrators::new(adapter_integrators::all()),
        server_secret(),
        PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock.clone(),
    ));
    let state = ConsoleState {
        access: access.clone(),
        url,
        channels: manage.clone(),
        reconciliation: Arc::new(ManageReconciliation::new(
            store.clone(),
            store.clone(),
            server_secret(),
            clock.clone(),
        )),
        forwarding: Arc::new(ForwardingFigures::new(store.clone(), clock.clone())),
        allow_sender: Arc::new(AllowSender::new(store.clone(), manage, server_secret())),
        test_channel: Arc::new(TestChannel::new(TestDependencies {
            channels: store.clone(),
            reports: store.clone(),
            directory: Some(directory.clone()),
            probe: Arc::new(UnresolvedHost),
            integrators: Integrators::new(adapter_integrators::all()),
            secret: server_secret(),
            public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
            private_targets: false,
            environment: clock.clone(),
        })),
        directory: directory.clone(),
        views: Arc::new(SavedViews::new(store.clone(), clock.clone())),
        list: Arc::new(ListMessages::new(
            store.clone(),
            store.clone(),
            server_secret(),
        )),
        show: Arc::new(ShowMessage::new(store.clone(), store.clone())),
        recipients: Arc::new(RecipientLinks::new(server_secret(), clock.clone())),
        rejections: Arc::new(ListRejections::new(store.clone())),
        subscriptions: Arc::new(ManageSubscriptions::new(SubscriptionDependencies {
            store: store.clone(),
            deliveries: store.clone(),
            operator_events: store.clone(),
            log: log.clone(),
            reports: store.clone(),
            sender: Arc::new(AcceptingEndpoint),
            directory: directory.clone(),
            secret: server_secret(),
            environment: clock.clone(),
            private_targets: false,
        })),
        statistics: Arc::new(ReadStatistics::new(
            store.clone(),
            store.clone(),
            Arc::new(UtcDays),
            clock.clone(),
        )),
        troubles: Arc::new(ManageTroubles::new(
            store.clone(),
            store.clone(),
            store.clone(),
            clock.clone(),
        )),
        events: Arc::new(ReadEvents::new(log)),
        stop: watch::channel(false).1,
        erase: Arc::new(EraseRecipient::new(
            store.clone(),
            server_secret(),
            clock.clone(),
        )),
        erasures: Arc::new(ListErasures::new(store.clone())),
        health: Arc::new(CheckHealth::new(store.clone(), directory.clone())),
        installation: Installation {
            version: "1.2.3",
            database: "memory".to_owned(),
            settings: vec![SettingRow {
                name: "RECEIPTD_PUBLIC_URL".to_owned(),
                value: PUBLIC_URL.to_owned(),
            }],
        },
        time_zone: "Europe/Berlin".to_owned(),
    };
    (state, access)
}

impl Site {
    /// Records reports.
    pub(crate) async fn record(&self, reports: &[Report]) {
        self.store.record(reports).await.unwrap();
    }

    /// Adds a channel with a credential.
    pub(crate) async fn add_channel(&self, channel: &Channel) {
        let credential = credential(channel.id.as_str(), 1).build();
        let added = ChannelStore::add(&self.store, channel, &credential)
            .await
            .unwrap();
        assert_eq!(added, Change::Done);
    }

    /// Counts unsuccessful calls of a channel.
    pub(crate) async fn count_calls(&self, id: &str, calls: ChannelCalls) {
        let counted = [(channel_id(id), calls)];
        self.store.count_calls(&counted).await.unwrap();
    }

    /// Counts what was reported so far.
    pub(crate) async fn count(&self) {
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let reader = usecases::StatisticsReader::new(store, Arc::new(UtcDays), server_secret());
        reader.step().await.unwrap();
    }

    /// Counts requests without credentials to a channel in the quarter of an hour of a time.
    pub(crate) async fn count_challenges(&self, id: &str, requests: i64, at: i64) {
        let mut counts = Counts::default();
        counts.requests.insert(RequestOutcome::Challenged, requests);
        let key = (
            Interval::QuarterHour,
            quarter_hour(time(at)),
            channel_id(id),
        );
        let added = self.store.add_statistics(&[(key, counts)].into()).await;
        added.unwrap();
    }

    /// Returns a channel.
    pub(crate) async fn channel(&self, id: &str) -> Channel {
        let found = ChannelStore::find(&self.store, &channel_id(id))
            .await
            .unwrap();
        found.unwrap().channel
    }

    /// Returns the credentials of a channel, oldest first.
    pub(crate) async fn credentials(&self, id: &str) -> Vec<Credential> {
        let found = ChannelStore::find(&self.store, &channel_id(id))
            .await
            .unwrap();
        found.unwrap().credentials
    }

    /// Adds a token and returns its text.
    pub(crate) async fn token(&self, name: &str, role: Role, rights: Rights) -> String {
        let new = NewToken {
            name: OperatorName::of_token(name).unwrap(),
            role,
            rights,
            expires_at: None,
        };
        let issued = self.access.tokens.add(new).await.unwrap();
        issued.text.reveal().to_owned()
    }

    /// Returns a browser that is not signed in.
    pub(crate) fn stranger(&self) -> Browser {
        Browser {
            call: self.call.clone(),
            cookie: None,
            csrf: String::new(),
        }
    }

    /// Returns a browser that is signed in with a token.
    pub(crate) async fn signed_in(&self, token: &str) -> Browser {
        let mut browser = self.stranger();
        let answer = browser.sign_in(token).await;
        assert_eq!(answer.location(), "/console/signed-in?next=%2Fconsole%2F");
        let page = browser.get("/console/channels").await.page();
        value_after(&page, "name=\"csrf\" value=\"").clone_into(&mut browser.csrf);
        browser
    }

    /// Returns a browser of the bootstrap operator.
    pub(crate) async fn admin(&self) -> Browser {
        self.signed_in(ADMIN_TOKEN).await
    }
}

/// Returns the text between a mark and the next quote.
pub(crate) fn value_after<'a>(page: &'a str, mark: &str) -> &'a str {
    let (_, rest) = page.split_once(mark).expect("the page contains the mark");
    rest.split_once('"').expect("the value ends").0
}

/// A browser.
#[derive(Clone)]
pub(crate) struct Browser {
    call: Call,
    /// The cookie of its session, as name and value.
    pub(crate) cookie: Option<String>,
    /// The token in the forms of its session.
    pub(crate) csrf: String,
}

impl Browser {
    /// Sends a request with the cookie of the session.
    pub(crate) async fn send(&self, request: TestRequest) -> Answered {
        let peer: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let mut request = request.peer_addr(peer);
        if let Some(cookie) = &self.cookie {
            request = request.insert_header(("cookie", cookie.as_str()));
        }
        let response = (self.call)(request.to_request()).await;
        let (_, response) = response.into_parts();
        let (response, body) = response.into_parts();
        let body = to_bytes(body).await.unwrap_or_default();
        Answered {
            status: response.status(),
            headers: response.headers().clone(),
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Opens a page.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(TestRequest::get().uri(path)).await
    }

    /// Submits a form of a page of the session.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let csrf = [("csrf", self.csrf.as_str())];
        self.post_from("same-origin", path, &[&csrf, fields].concat())
            .await
    }

    /// Submits a form from a site, without the token of the session.
    pub(crate) async fn post_from(
        &self,
        site: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answered {
        let request = TestRequest::post()
            .uri(path)
            .insert_header(("sec-fetch-site", site))
            .set_form(fields);
        self.send(request).await
    }

    /// Signs in with a token and keeps the cookie.
    pub(crate) async fn sign_in(&mut self, token: &str) -> Answered {
        let fields = [("token", token), ("next", "/console/")];
        let answer = self
            .post_from("same-origin", "/console/sign-in", &fields)
            .await;
        if let Some(line) = answer.header("set-cookie") {
            self.cookie = line.split(';').next().map(str::to_owned);
        }
        answer
    }
}
