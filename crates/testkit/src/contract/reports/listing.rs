//! Listing messages in pages.

use std::num::NonZeroU32;

use domain::page::{MessageFilter, PageSize, ScanLimit};
use domain::statistics::Outcome;
use domain::{DeliveryStatus, ErrorCode, Message, Report};
use ports::ReportStore;

use super::model::{Model, list, record};
use crate::builders::{NOT_SPELLINGS, SPELLINGS, channel_id, recipient, report, time, twilio_sid};
use crate::contract::Stores;

type Reports = Stores<dyn ReportStore>;

/// Messages on three channels that differ in everything one can filter by,
/// many of them of the same microsecond.
fn traffic() -> Vec<Report> {
    let channels = ["1", "10", "2"].into_iter().cycle();
    let recipients = ["whatsapp:+15550", "15560", "whatsapp:us.a", "whatsapp:US.a"];
    let recipients = recipients.into_iter().cycle();
    (0..240_u32)
        .zip(channels.zip(recipients))
        .flat_map(|(n, (channel, to))| {
            let sid = if n % 5 == 0 {
                format!("id-{n}")
            } else {
                twilio_sid(n.into())
            };
            let at = 1_000 + i64::from(n / 16);
            let base = report(&sid).channel(channel).to(to).at(at);
            let failed = base.clone().status("failed");
            match n % 7 {
                0 => vec![base.status("sent").build()],
                1 => vec![failed.error("63016").build(), base.status("read").build()],
                2 => vec![failed.error("63024").build()],
                3 => vec![base.status("teleported").build()],
                4 => vec![base.status("delivered").build()],
                5 => vec![failed.build(), base.status("delivered").build()],
                _ => vec![base.clone().status("undelivered").error("63016").build()],
            }
        })
        .collect()
}

/// Records the traffic, and gives the messages in the order of the list.
pub(in crate::contract) async fn recorded_traffic(store: &dyn ReportStore) -> Vec<Message> {
    let traffic = traffic();
    for batch in traffic.chunks(100) {
        record(store, batch).await;
    }
    Model::of(&traffic).messages()
}

pub async fn messages_are_listed_newest_first(stores: Reports) {
    let times = [3, 1, 2, -5, 4];
    let reports = times.map(|at| report(&format!("SM{at}")).at(at).build());
    record(&*stores.one, &reports).await;
    let listed = list(&*stores.one, &MessageFilter::default(), 500).await;
    let sids: Vec<_> = listed
        .iter()
        .map(|message| message.key.sid.as_str())
        .collect();
    assert_eq!(sids, ["SM4", "SM3", "SM2", "SM1", "SM-5"]);
}

pub async fn messages_of_one_microsecond_are_listed_by_key_descending(stores: Reports) {
    let hex = "f".repeat(32);
    let (sm, mm) = (format!("SM{hex}"), format!("MM{hex}"));
    // In the compact form Twilio's ids sort after all others, and MM after SM.
    let ascending = [
        ("1", "A"),
        ("1", "B"),
        ("1", "a"),
        ("1", "zz"),
        ("1", sm.as_str()),
        ("1", mm.as_str()),
        ("10", "A"),
        ("2", "A"),
        ("a", "A"),
    ];
    let reports = ascending.map(|(channel, sid)| report(sid).channel(channel).at(7).build());
    record(&*stores.one, &reports).await;
    for size in [1, 500] {
        let listed = list(&*stores.one, &MessageFilter::default(), size).await;
        let listed = listed.iter().rev();
        let keys = listed.map(|message| (message.key.channel.as_str(), message.key.sid.as_str()));
        assert_eq!(keys.collect::<Vec<_>>(), ascending);
    }
}

pub async fn pages_of_messages_have_no_gaps_or_repetitions(stores: Reports) {
    let want = recorded_traffic(&*stores.one).await;
    for size in [1, 2, 7, 100, 239, 240, 241, 500] {
        assert_eq!(
            list(&*stores.one, &MessageFilter::default(), size).await,
            want,
            "size {size}"
        );
    }
}

pub async fn a_full_page_without_successor_is_the_last(stores: Reports) {
    record(
        &*stores.one,
        &[report("SM1").build(), report("SM2").build()],
    )
    .await;
    for (size, items, more) in [(1, 1, true), (2, 2, false), (3, 2, false)] {
        let size = PageSize::new(size).expect("1 to 500");
        let page = stores
            .one
            .messages(&MessageFilter::default(), None, size, ScanLimit::MAX)
            .await;
        let page = page.expect("a page can be read");
        assert_eq!((page.items.len(), page.next.is_some()), (items, more));
    }
}

pub async fn a_page_ends_where_its_scan_does(stores: Reports) {
    let reports = (1..=7).map(|at| {
        let status = if at == 2 { "read" } else { "sent" };
        report(&format!("SM{at}")).status(status).at(at).build()
    });
    record(&*stores.one, &reports.collect::<Vec<_>>()).await;
    let filter = MessageFilter {
        status: Some(DeliveryStatus::Read.into()),
        ..MessageFilter::default()
    };
    let mut after = None;
    for (found, last_examined) in [(vec![], "SM5"), (vec!["SM2"], "SM2")] {
        let page = stores
            .one
            .messages(&filter, after.as_ref(), PageSize::MAX, scan(3))
            .await;
        let page = page.expect("a page can be read");
        let sids = page.items.iter().map(|message| message.key.sid.as_str());
        assert_eq!(sids.collect::<Vec<_>>(), found);
        let next = page.next.expect("the scan ended the page");
        assert_eq!(next.key.sid.as_str(), last_examined);
        after = Some(next);
    }
    let page = stores
        .one
        .messages(&filter, after.as_ref(), PageSize::MAX, scan(3))
        .await;
    let page = page.expect("a page can be read");
    assert_eq!((page.items, page.next), (vec![], None));
}

pub async fn pages_of_short_scans_have_no_gaps_or_repetitions(stores: Reports) {
    let all = recorded_traffic(&*stores.one).await;
    for status in [DeliveryStatus::Sent, DeliveryStatus::Delivered] {
        let filter = MessageFilter {
            status: Some(status.into()),
            since: Some(time(1_002)),
            ..MessageFilter::default()
        };
        let matching = all.iter().filter(|message| {
            message.state.status() == Some(status)
                && message.parties.first_reported_at >= time(1_002)
        });
        let expected: Vec<_> = matching.cloned().collect();
        for (size, limit) in [(1, 1), (2, 5), (3, 50), (500, 7), (500, 224), (500, 225)] {
            let size = PageSize::new(size).expect("1 to 500");
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = stores
                    .one
                    .messages(&filter, after.as_ref(), size, scan(limit))
                    .await;
                let page = page.expect("a page can be read");
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "pages of {size:?}, scans of {limit}");
        }
    }
}

fn scan(messages: u32) -> ScanLimit {
    ScanLimit(NonZeroU32::new(messages).expect("more than none"))
}

pub async fn an_empty_store_lists_nothing(stores: Reports) {
    let page = stores
        .one
        .messages(
            &MessageFilter::default(),
            None,
            PageSize::default(),
            ScanLimit::MAX,
        )
        .await;
    let page = page.expect("a page can be read");
    assert_eq!((page.items, page.next), (vec![], None));
}

pub async fn every_message_filter_selects_matching_messages(stores: Reports) {
    let all = recorded_traffic(&*stores.one).await;
    let none = MessageFilter::default;
    let mut filters = vec![
        MessageFilter {
            contradicted: Some(true),
            ..none()
        },
        MessageFilter {
            contradicted: Some(false),
            ..none()
        },
        MessageFilter {
            since: Some(time(1_003)),
            ..none()
        },
        MessageFilter {
            until: Some(time(1_003)),
            ..none()
        },
        MessageFilter {
            since: Some(time(1_003)),
            until: Some(time(1_005)),
            ..none()
        },
        MessageFilter {
            since: Some(time(1_005)),
            until: Some(time(1_005)),
            ..none()
        },
        MessageFilter {
            until: Some(time(0)),
            ..none()
        },
    ];
    for channel in ["1", "10", "2", "3"] {
        filters.push(MessageFilter {
            channel: Some(channel_id(channel)),
            ..none()
        });
    }
    for status in DeliveryStatus::ALL {
        filters.push(MessageFilter {
            status: Some(status.into()),
            ..none()
        });
    }
    for outcome in Outcome::ALL {
        filters.push(MessageFilter {
            status: Some(Outcome::statuses(&[outcome])),
            contradicted: Some(false),
            ..none()
        });
    }
    for to in [
        "whatsapp:+15550",
        "whatsapp:us.a",
        "whatsapp:US.a",
        "+15550",
        "1 555 0",
        "whatsapp:+15560",
        "whatsapp:+155500",
    ] {
        filters.push(MessageFilter {
            recipient: Some(recipient(to)),
            ..none()
        });
    }
    for code in ["63016", "63024", "6301", "63016%"] {
        let code = ErrorCode::parse(code).expect("a code");
        filters.push(MessageFilter {
            error_code: Some(code),
            ..none()
        });
    }
    for filter in filters {
        let want: Vec<_> = all
            .iter()
            .filter(|message| passes(message, &filter))
            .cloned()
            .collect();
        assert_eq!(list(&*stores.one, &filter, 500).await, want, "{filter:?}");
    }
}

pub async fn a_recipient_is_found_in_every_spelling(stores: Reports) {
    let same = SPELLINGS.iter().zip(0..);
    let others = NOT_SPELLINGS.iter().zip(100..);
    let reports: Vec<_> = same
        .chain(others)
        .map(|(to, n)| report(&twilio_sid(n)).to(to).build())
        .collect();
    record(&*stores.one, &reports).await;
    for spelling in SPELLINGS {
        let filter = MessageFilter {
            recipient: Some(recipient(spelling)),
            ..MessageFilter::default()
        };
        let found = list(&*stores.one, &filter, 3).await;
        let mut found: Vec<_> = found
            .iter()
            .map(|message| message.parties.recipient.reveal())
            .collect();
        let mut wanted = SPELLINGS.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "of {spelling:?}");
    }
    let filter = MessageFilter {
        recipient: Some(recipient(" RCS: Brand-agent")),
        ..MessageFilter::default()
    };
    let found = list(&*stores.one, &filter, 3).await;
    let found = found.iter().map(|it| it.parties.recipient.reveal());
    assert_eq!(found.collect::<Vec<_>>(), ["Rcs : Brand-agent\u{a0}"]);
}

pub async fn filters_are_combined_and_apply_to_every_page(stores: Reports) {
    let all = recorded_traffic(&*stores.one).await;
    let filter = MessageFilter {
        channel: Some(channel_id("10")),
        status: Some(DeliveryStatus::Read.into()),
        contradicted: Some(true),
        recipient: Some(recipient("whatsapp:US.a")),
        error_code: Some(ErrorCode::parse("63016").expect("a code")),
        since: Some(time(1_001)),
        until: Some(time(1_014)),
    };
    let loose = MessageFilter {
        channel: Some(channel_id("10")),
        contradicted: Some(false),
        since: Some(time(1_002)),
        ..MessageFilter::default()
    };
    for (filter, at_least) in [(filter, 2), (loose, 20)] {
        let want: Vec<_> = all
            .iter()
            .filter(|message| passes(message, &filter))
            .cloned()
            .collect();
        assert!(
            want.len() >= at_least,
            "{} messages make a test",
            want.len()
        );
        for size in [1, 3, 500] {
            assert_eq!(list(&*stores.one, &filter, size).await, want, "size {size}");
        }
    }
}

pub async fn a_duplicate_does_not_move_a_message_in_the_list(stores: Reports) {
    let history = [
        report("SM1").at(1).status("sent").build(),
        report("SM2").at(2).status("sent").build(),
        report("SM1").at(3).status("sent").build(),
        report("SM1").at(4).status("read").build(),
    ];
    record(&*stores.one, &history).await;
    let listed = list(&*stores.one, &MessageFilter::default(), 1).await;
    let sids: Vec<_> = listed
        .iter()
        .map(|message| message.key.sid.as_str())
        .collect();
    assert_eq!(sids, ["SM2", "SM1"]);
}

/// What the documentation of [`MessageFilter`] says.
fn passes(message: &Message, filter: &MessageFilter) -> bool {
    let first = message.parties.first_reported_at;
    let code = message.state.error().map(|error| &error.error.code);
    filter
        .channel
        .as_ref()
        .is_none_or(|channel| message.key.channel == *channel)
        && filter
            .status
            .is_none_or(|statuses| statuses.contains(message.state.status()))
        && filter
            .contradicted
            .is_none_or(|it| message.state.contradicted() == it)
        && filter
            .recipient
            .as_ref()
            .is_none_or(|to| to.is(message.parties.recipient.reveal()))
        && filter.error_code.as_ref().is_none_or(|it| code == Some(it))
        && filter.since.is_none_or(|since| first >= since)
        && filter.until.is_none_or(|until| first < until)
}
