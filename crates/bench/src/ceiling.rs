//! The HTTP ceiling: the least that a receiver on the same server library must do. It
//! authenticates and parses requests with the same code as the real one. Then it drops the report,
//! or sends it through the ingest queue to a store that records nothing.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use domain::PublicUrl;
use domain::crypto::ServerSecret;
use ports::metrics::NoMetrics;
use ports::{ChannelStore as _, Environment, Headers, Integrator};
use testkit::builders;
use testkit::clock::SkewedClock;
use testkit::discarding_store::DiscardingStore;
use testkit::memory::MemoryStore;
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, GroupCommitWriters, IngestQueue,
    ReceiveReport,
};

use crate::installation::free_address;
use crate::receiver::stop_process;
use crate::wait::until;
use crate::{CHANNEL, PASSWORD, SECRET_KEY, USER};

/// How far a report goes.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// It is authenticated and parsed.
    Read,
    /// It goes through the ingest queue as well, to a store that records nothing.
    IngestQueue,
}

/// A process that serves only HTTP. Dropping it kills it.
pub struct CeilingProcess {
    child: Child,
    pub address: SocketAddr,
}

impl CeilingProcess {
    /// Starts this program as a server.
    pub fn start(depth: Depth) -> Result<Self> {
        let address = free_address()?;
        let depth = depth.to_possible_value().context("a depth has a name")?;
        let child = Command::new(std::env::current_exe()?)
            .args(["ceiling", "--listen", &address.to_string()])
            .args(["--depth", depth.get_name()])
            .stdin(Stdio::null())
            .spawn()?;
        let process = Self { child, address };
        let listens = until(Duration::from_secs(10), Duration::from_millis(5), || {
            TcpStream::connect(address).is_ok()
        });
        ensure!(listens, "no process listens on {address}");
        Ok(process)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it with SIGTERM.
    pub fn stop(mut self) -> Result<()> {
        stop_process(&mut self.child, Duration::from_secs(30)).map(drop)
    }
}

impl Drop for CeilingProcess {
    fn drop(&mut self) {
        // No effect on a stopped one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ceiling {
    integrator: Arc<dyn Integrator>,
    authenticate: AuthenticateCaller,
    /// The ingest queue, if reports go through it.
    receive: Option<ReceiveReport>,
}

/// Serves until the process is stopped.
pub fn serve(listen: SocketAddr, depth: Depth) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (queue, writers) = GroupCommitWriters::new(
            Arc::new(DiscardingStore),
            Arc::new(NoMetrics),
            IngestSettings::default(),
        );
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(writers.run());
        let state = web::Data::new(ceiling(queue, depth).await?);
        let server = HttpServer::new(move || {
            App::new().app_data(state.clone()).route(
                "/social/on/whatsapp/twilio/report/{channel}",
                web::post().to(receive),
            )
        });
        server
            .tcp_nodelay(true)
            .backlog(4096)
            .bind(listen)?
            .run()
            .await?;
        Ok(())
    })
}

async fn ceiling(queue: IngestQueue, depth: Depth) -> Result<Ceiling> {
    let store = MemoryStore::new();
    let secret = ServerSecret::parse(SECRET_KEY)?;
    let credential = builders::credential(CHANNEL, 1)
        .password(&secret, USER, PASSWORD)
        .build();
    store
        .add(&builders::channel(CHANNEL).build(), &credential)
        .await?;
    let store = Arc::new(store);
    let directory = ChannelDirectory::new(store.clone(), secret.clone(), Arc::new(NoMetrics));
    directory.refresh().await?;
    let clock: Arc<dyn Environment> = Arc::new(SkewedClock::default());
    let authenticate = AuthenticateCaller::new(Arc::new(directory), secret, Arc::clone(&clock));
    let public_url = PublicUrl::parse("http://127.0.0.1")?;
    let receive = ReceiveReport::new(
        queue,
        store.clone(),
        store,
        public_url,
        clock,
        Arc::new(NoMetrics),
    );
    Ok(Ceiling {
        integrator: Arc::new(adapter_integrators::twilio::Twilio::new()),
        authenticate,
        receive: (depth == Depth::IngestQueue).then_some(receive),
    })
}

async fn receive(
    request: HttpRequest,
    channel: web::Path<String>,
    body: web::Bytes,
    state: web::Data<Ceiling>,
) -> HttpResponse {
    let integrator = state.integrator.as_ref();
    let headers = &RequestHeaders(request.headers());
    let Authentication::AuthenticatedCaller(caller) =
        state.authenticate.run(integrator, &channel, headers)
    else {
        let challenge = (WWW_AUTHENTICATE, integrator.challenge());
        return HttpResponse::Unauthorized()
            .insert_header(challenge)
            .finish();
    };
    let accepted = match &state.receive {
        None => integrator
            .parse(integrator.report_endpoint(), headers, &body)
            .is_ok(),
        Some(receive) => {
            let report = ReportRequest {
                integrator,
                endpoint: integrator.report_endpoint(),
                caller,
                headers,
                query: None,
                body: &body,
            };
            receive.run(report).await.is_ok()
        }
    };
    if accepted {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::BadRequest().finish()
    }
}

struct RequestHeaders<'a>(&'a HeaderMap);

impl Headers for RequestHeaders<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }
}
