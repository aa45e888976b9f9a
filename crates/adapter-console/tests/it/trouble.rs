//! The page Trouble, and the forms of the rules.

use std::time::Duration;

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::page::PageSize;
use domain::trouble::{
    Finding, Trouble, TroubleId, TroubleKey, TroubleKind, TroubleState, TroubleSubject, Window,
};
use domain::{ErrorCode, Timestamp};
use ports::TroubleStore as _;
use ports::troubles::TroubleChanges;
use testkit::builders::{channel, channel_id, time};
use uuid::Uuid;

use crate::site::{self, Site};

const NOW: i64 = 1_795_370_777_000_000;
const MINUTE: i64 = 60_000_000;
const ID: &str = "00000000-0000-0000-0000-000000000002";

fn trouble(number: u128, subject: TroubleSubject, state: TroubleState) -> Trouble {
    let kind = match subject {
        TroubleSubject::Code(..) => TroubleKind::ErrorCode,
        _ => TroubleKind::Silence,
    };
    let finding = Finding {
        since: time(NOW - 90 * MINUTE),
        seen: "No report <b>at all</b>.".to_owned(),
    };
    let window = Window::around(time(NOW), MINUTE);
    let key = TroubleKey { kind, subject };
    Trouble {
        state,
        ..Trouble::begin(
            TroubleId(Uuid::from_u128(number)),
            key,
            finding,
            window,
            None,
        )
    }
}

/// Stores an open and a resolved trouble of channel 1.
async fn with_troubles() -> Site {
    let site = site::local().await;
    site.add_channel(&channel("1").name("Service <i>desk").build())
        .await;
    let opened_at = time(NOW - 80 * MINUTE);
    let code = ErrorCode::parse("63016").unwrap();
    let resolved = TroubleState::Resolved {
        opened_at,
        resolved_at: time(NOW - 20 * MINUTE),
    };
    let of_code = TroubleSubject::Code(channel_id("1"), code);
    let of_channel = TroubleSubject::Channel(channel_id("1"));
    let changes = TroubleChanges {
        saved: vec![
            trouble(1, of_code, resolved),
            trouble(2, of_channel, TroubleState::Open { opened_at }),
        ],
        ..TroubleChanges::default()
    };
    let lease = site.store.lease_evaluation("test", Duration::from_mins(1));
    let lease = lease.await.unwrap().unwrap();
    let saved = site.store.save_troubles(&lease, &changes).await;
    assert!(saved.unwrap());
    site
}

async fn audited(site: &Site, action: AuditAction) -> usize {
    let filter = AuditFilter {
        action: Some(action),
        ..AuditFilter::default()
    };
    let page = site.access.audit_log.run(&filter, None, PageSize::MAX);
    page.await.unwrap().items.len()
}

#[tokio::test]
async fn page_shows_what_is_open_and_what_was_resolved() {
    let site = site::local().await;
    let empty = site.admin().await.get("/console/trouble").await.page();
    assert!(empty.contains("Nothing is open"), "{empty}");
    assert!(empty.contains("No trouble was resolved."), "{empty}");
    let site = with_troubles().await;
    let admin = site.admin().await;
    let page = admin.get("/console/trouble").await.page();
    assert!(page.contains("1 open trouble"), "{page}");
    assert!(page.contains("Service &lt;i&gt;desk") || page.contains("Service &#60;i&#62;desk"));
    assert!(!page.contains("<b>at all") && !page.contains("<i>desk"));
    assert!(page.contains(TroubleKind::Silence.advice()), "{page}");
    let codes = "/console/messages?channel=1&#38;code=63016";
    assert!(page.contains(codes), "{page}");
    assert!(page.contains("data-label=\"lasted\">1 h"), "{page}");
    let overview = admin.get("/console/").await.page();
    assert!(overview.contains("1 thing needs you"), "{overview}");
    let link = format!("/console/trouble#trouble-{ID}");
    assert!(overview.contains(&link), "{overview}");
}

#[tokio::test]
async fn snoozed_trouble_needs_nobody_until_the_snooze_ends() {
    let site = with_troubles().await;
    let admin = site.admin().await;
    let snooze = format!("/console/trouble/{ID}/snooze");
    for (hours, reason, problem) in [
        ("4", " ", "the reason of a snooze has"),
        ("5", "known", "choose how long"),
    ] {
        let answer = admin
            .post(&snooze, &[("hours", hours), ("reason", reason)])
            .await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.contains(problem), "{}", answer.text);
    }
    let answer = admin
        .post(&snooze, &[("hours", "4"), ("reason", "moving <u>today")])
        .await;
    assert_eq!(answer.location(), "/console/trouble?done=trouble-snoozed");
    let page = admin.get("/console/trouble").await.page();
    assert!(page.contains("Nothing is open"), "{page}");
    assert!(page.contains("by admin: moving "), "{page}");
    assert!(!page.contains("<u>today"));
    let overview = admin.get("/console/").await.page();
    assert!(overview.contains("Nothing needs you."), "{overview}");
    let ended = admin
        .post(&format!("/console/trouble/{ID}/unsnooze"), &[])
        .await;
    assert_eq!(ended.location(), "/console/trouble?done=snooze-ended");
    let page = admin.get("/console/trouble").await.page();
    assert!(page.contains("1 open trouble"), "{page}");
    assert_eq!(audited(&site, AuditAction::TroubleSnooze).await, 1);
    assert_eq!(audited(&site, AuditAction::TroubleEndSnooze).await, 1);
    let missing = admin.post("/console/trouble/x/unsnooze", &[]).await;
    assert_eq!(missing.status, 404);
    let resolved = ID.replace("0002", "0001");
    let resolved = format!("/console/trouble/{resolved}/unsnooze");
    assert_eq!(admin.post(&resolved, &[]).await.status, 409);
}

const RULES: [(&str, &str); 5] = [
    ("on", "silence"),
    ("silence", "45"),
    ("challenges", "20"),
    ("share", "5"),
    ("quiet", "22:00-06:30"),
];

#[tokio::test]
async fn rules_of_a_channel_are_changed_and_reset() {
    let site = with_troubles().await;
    let admin = site.admin().await;
    let all = admin.get("/console/trouble/rules").await.page();
    assert!(all.contains("value=\"journal_in_use\" checked"), "{all}");
    let form = admin.get("/console/channels/1/rules").await.page();
    assert!(form.contains("The rules of all channels apply."), "{form}");
    assert!(!form.contains("journal_in_use"), "{form}");
    let wrong = [
        ("silence", "0"),
        ("challenges", "x"),
        ("share", "3"),
        ("quiet", "9"),
    ];
    let answer = admin.post("/console/channels/1/rules", &wrong).await;
    assert_eq!(answer.status, 400);
    for field in ["silence", "challenges", "quiet"] {
        let link = format!("href=\"#{field}\"");
        assert!(answer.text.contains(&link), "{field}: {}", answer.text);
    }
    let answer = admin.post("/console/channels/1/rules", &RULES).await;
    assert_eq!(answer.location(), "/console/channels/1?done=rules-changed");
    let page = admin.get("/console/channels/1").await.page();
    assert!(page.contains("<dd>its own"), "{page}");
    let stored = site.store.trouble_settings().await.unwrap();
    let (_, settings) = &stored[0];
    assert!(settings.is_on(TroubleKind::Silence) && settings.is_on(TroubleKind::JournalInUse));
    assert!(!settings.is_on(TroubleKind::ErrorCode));
    assert_eq!(settings.thresholds.silence_minutes(), 45);
    assert_eq!(settings.quiet_hours.unwrap().to_string(), "22:00-06:30");
    let form = admin.get("/console/channels/1/rules").await.page();
    assert!(form.contains("value=\"22:00-06:30\""), "{form}");
    admin.post("/console/channels/1/rules/reset", &[]).await;
    assert_eq!(site.store.trouble_settings().await.unwrap(), []);
    let answer = admin.post("/console/trouble/rules", &RULES).await;
    assert_eq!(answer.location(), "/console/trouble?done=rules-changed");
    assert_eq!(audited(&site, AuditAction::TroubleSettings).await, 3);
    let missing = admin.get("/console/channels/2/rules").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn viewer_sees_trouble_and_changes_nothing() {
    let site = with_troubles().await;
    let token = site.token("reader", Role::Viewer, Rights::default()).await;
    let viewer = site.signed_in(&token).await;
    let page = viewer.get("/console/trouble").await.page();
    assert!(page.contains("1 open trouble"), "{page}");
    assert!(!page.contains("/snooze\""), "{page}");
    for path in ["/console/trouble/rules", "/console/channels/1/rules"] {
        let rules = viewer.get(path).await.page();
        assert!(
            rules.contains("<fieldset class=\"form\" disabled>"),
            "{rules}"
        );
        assert!(!rules.contains("Save</button>"), "{rules}");
    }
    let snooze = format!("/console/trouble/{ID}/snooze");
    for (path, fields) in [
        (snooze.as_str(), &[("hours", "1"), ("reason", "x")][..]),
        ("/console/trouble/rules", &RULES),
        ("/console/channels/1/rules", &RULES),
        ("/console/channels/1/rules/reset", &[]),
    ] {
        assert_eq!(viewer.post(path, fields).await.status, 403, "{path}");
    }
    let open = site.store.unresolved().await.unwrap();
    assert!(!open[0].is_snoozed(Timestamp::EPOCH));
    assert_eq!(site.store.trouble_settings().await.unwrap(), []);
}
