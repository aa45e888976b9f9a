//! Records as many reports as its argument says, one after the other: authenticates the caller,
//! parses the form, enqueues the report and waits for its answer. There is no HTTP, and the store
//! discards everything.
//!
//! `make instructions` counts the instructions per report. Nothing else varies between runs.

#![expect(clippy::expect_used, reason = "a tool for developers may end so")]

use std::sync::Arc;

use adapter_integrators::twilio::Twilio;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::PublicUrl;
use ports::metrics::NoMetrics;
use ports::{ChannelStore as _, Headers, Integrator as _};
use testkit::builders;
use testkit::clock::FixedClock;
use testkit::discarding_store::DiscardingStore;
use testkit::memory::MemoryStore;
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, GroupCommitWriters, ReceiveReport,
};

const CHANNEL: &str = "202105102694809992";
const USER: &str = "user";
/// As long as a generated one.
const PASSWORD: &str = "a-password-of-43-letters-like-generated-one";

/// What Twilio sends of a message that was delivered.
const BODY: &[u8] = b"ChannelPrefix=whatsapp&ApiVersion=2010-04-01&MessageStatus=delivered&SmsSid=\
SM0123456789abcdef0123456789abcdef&SmsStatus=delivered&ChannelInstallSid=\
XE823cb84a73cd00c3731c7ebc804a13d3&To=whatsapp%3A%2B15550100001&From=whatsapp%3A%2B15550109001\
&MessageSid=SM0123456789abcdef0123456789abcdef&AccountSid=AC20dfc0ab5df7f9861fd50ba4c6c0d31b\
&ChannelToAddress=%2B1555010XXXX&EventType=DELIVERED";

// One thread: the schedule would vary between runs otherwise.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let reports: u32 = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .expect("the argument is a number of reports");

    let store = Arc::new(MemoryStore::new());
    let secret = builders::server_secret();
    let channel = builders::channel(CHANNEL).build();
    let credential = builders::credential(CHANNEL, 1)
        .password(&secret, USER, PASSWORD)
        .build();
    store
        .add(&channel, &credential)
        .await
        .expect("the store takes a channel");
    let directory = ChannelDirectory::new(store.clone(), secret.clone(), Arc::new(NoMetrics));
    directory
        .refresh()
        .await
        .expect("the store returns its channels");
    let clock = Arc::new(FixedClock::default());
    let (queue, writers) = GroupCommitWriters::new(
        Arc::new(DiscardingStore),
        Arc::new(NoMetrics),
        IngestSettings::default(),
    );
    let authenticate = AuthenticateCaller::new(Arc::new(directory), secret, clock.clone());
    let receive = ReceiveReport::new(
        queue,
        store.clone(),
        store,
        PublicUrl::parse("https://receipts.example").expect("a constant"),
        clock,
        Arc::new(NoMetrics),
    );
    let twilio = Twilio::new();
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let headers = Lines {
        authorization: format!("Basic {pair}"),
    };

    let record = async move {
        for _ in 0..reports {
            let Authentication::AuthenticatedCaller(caller) =
                authenticate.run(&twilio, CHANNEL, &headers)
            else {
                panic!("the caller is not authenticated");
            };
            let request = ReportRequest {
                integrator: &twilio,
                endpoint: twilio.report_endpoint(),
                caller,
                headers: &headers,
                query: None,
                body: BODY,
            };
            receive.run(request).await.expect("the report is recorded");
        }
    };
    // The writers end when the last queue is dropped, with `record`.
    let (recorded, ()) = tokio::join!(writers.run(), record);
    recorded.expect("no writer panics");
}

struct Lines {
    authorization: String,
}

impl Headers for Lines {
    fn get(&self, name: &str) -> Option<&[u8]> {
        match name {
            "Authorization" => Some(self.authorization.as_bytes()),
            "I-Twilio-Idempotency-Token" => Some(b"0123456789abcdef0123456789abcdef"),
            _ => None,
        }
    }
}
