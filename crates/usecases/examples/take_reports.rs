//! Takes as many reports as its argument says, one after the other: proves the
//! caller, reads the form, hands the report to the intake and waits for its
//! answer. There is no HTTP, and the store records nothing.
//!
//! `make instructions` counts what a report costs here. Everything else stands
//! still, so that the count is the same on every run.

#![expect(clippy::expect_used, reason = "a tool for developers may end so")]

use std::sync::Arc;

use adapter_integrators::twilio::Twilio;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize};
use domain::{Effect, Message, MessageKey, PublicUrl, Report};
use ports::metrics::NoMetrics;
use ports::reports::MessageWithReports;
use ports::{ChannelStore as _, Headers, ReportStore, StoreError};
use testkit::builders;
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::ingest::group_commit::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::{AuthenticateCaller, Authentication, ChannelDirectory, IngestQueue, ReceiveReport};

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

// One thread: who runs when would change from run to run otherwise.
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
        .expect("the store tells its channels");
    let clock = Arc::new(FixedClock::default());
    let (intake, writers) = IngestQueue::new(
        Arc::new(Nowhere),
        Arc::new(NoMetrics),
        IngestSettings::default(),
    );
    let admit = AuthenticateCaller::new(Arc::new(directory), secret, clock.clone());
    let receive = ReceiveReport::new(
        intake,
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

    let take = async move {
        for _ in 0..reports {
            let Authentication::AuthenticatedCaller(caller) = admit.run(&twilio, CHANNEL, &headers)
            else {
                panic!("the caller is not admitted");
            };
            let request = ReportRequest {
                integrator: &twilio,
                caller,
                headers: &headers,
                query: None,
                body: BODY,
            };
            receive.run(request).await.expect("the report is taken");
        }
    };
    // The writers end when the last intake is dropped, with the reports.
    let (recorded, ()) = tokio::join!(writers.run(), take);
    recorded.expect("the writers live");
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

/// Takes everything and keeps nothing.
struct Nowhere;

#[async_trait]
impl ReportStore for Nowhere {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        Ok(vec![Effect::Advanced; reports.len()])
    }

    async fn message(&self, _: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        Ok(None)
    }

    async fn messages(
        &self,
        _: &MessageFilter,
        _: Option<&MessageCursor>,
        _: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
