//! Pages that are tested by a sentence or two: rejections, live, access, erasures.

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::page::PageSize;
use domain::rejection::MaskedFields;
use domain::{IntegratorName, Rejection, RejectionReason};
use ports::RejectionStore as _;
use testkit::builders::{CHANNEL, channel, channel_id, report, server_secret, time};

use crate::site::{self, Site};

const NOW: i64 = 1_795_370_777_000_000;

/// Returns how many entries of the audit log have an action.
pub(crate) async fn audited(site: &Site, action: AuditAction) -> usize {
    let filter = AuditFilter {
        action: Some(action),
        ..AuditFilter::default()
    };
    let page = site
        .access
        .audit_log
        .run(&filter, None, PageSize::MAX)
        .await;
    page.unwrap().items.len()
}

#[tokio::test]
async fn rejections_are_grouped_with_what_would_be_right() {
    let site = site::local().await;
    site.add_channel(&channel("1").name("Sales").build()).await;
    let admin = site.admin().await;
    let empty = admin.get("/console/rejections").await.page();
    assert!(empty.contains("Nothing was rejected"));
    let rejection = |reason| Rejection {
        arrived_at: time(NOW),
        channel: channel_id("1"),
        integrator: IntegratorName::parse("twilio").unwrap(),
        reason,
        detail: "<b>the sender is not on the list</b>".to_owned(),
        fields: MaskedFields::new([("<i>".to_owned(), "<u>".to_owned())]),
        sender: None,
    };
    let rejections = [
        rejection(RejectionReason::SenderNotAllowed),
        rejection(RejectionReason::SenderNotAllowed),
        rejection(RejectionReason::InvalidReport),
    ];
    site.store.store_rejections(&rejections).await.unwrap();
    let page = admin.get("/console/rejections").await.page();
    assert!(
        page.contains("href=\"/console/channels/1/edit#senders\""),
        "{page}"
    );
    assert!(page.contains("data-label=\"reports\">2<"), "{page}");
    assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<u>"));
    let other = admin.get("/console/rejections?channel=2").await.page();
    assert!(other.contains("No rejections on this channel"));
}

#[tokio::test]
async fn rejected_sender_is_added_with_one_click() {
    let site = site::local().await;
    let allowed = "whatsapp:+15550109999";
    site.add_channel(&channel("1").senders(&[allowed]).build())
        .await;
    let context = Rejection::sender_context(&channel_id("1"));
    let rejection = |sender: &str| Rejection {
        arrived_at: time(NOW),
        channel: channel_id("1"),
        integrator: IntegratorName::parse("twilio").unwrap(),
        reason: RejectionReason::SenderNotAllowed,
        detail: "the sender is not on the channel's list".to_owned(),
        fields: MaskedFields::default(),
        sender: Some(server_secret().seal(sender, &context, [7; 24])),
    };
    let rejected = "whatsapp:+15550108888";
    let rejections = [rejection(rejected), rejection(rejected), rejection(allowed)];
    site.store.store_rejections(&rejections).await.unwrap();

    let token = site.token("reader", Role::Viewer, Rights::default()).await;
    let viewer = site.signed_in(&token).await;
    let page = viewer.get("/console/rejections").await.page();
    assert!(!page.contains("Add whatsapp"), "{page}");
    let path = "/console/rejections/add-sender";
    assert_eq!(viewer.post(path, &[("rejection", "1")]).await.status, 403);

    let admin = site.admin().await;
    let page = admin.get("/console/rejections").await.page();
    assert_eq!(page.matches(">Add whatsapp:+***8888<").count(), 1, "{page}");
    assert!(!page.contains("5550108888"));
    assert!(page.contains("Allowed now: whatsapp:+***9999"), "{page}");
    let id = site::value_after(&page, "name=\"rejection\" value=\"").to_owned();
    let added = admin.post(path, &[("rejection", &id)]).await;
    let location = "/console/rejections?channel=1&done=sender-added";
    assert_eq!(added.location(), location);
    let senders = site.channel("1").await.senders;
    let senders: Vec<_> = senders.iter().map(domain::Address::reveal).collect();
    assert_eq!(senders, [allowed, rejected]);
    let page = admin.get(location).await.page();
    assert!(!page.contains("Add whatsapp"), "{page}");
    assert!(page.contains("The sender was added"), "{page}");
    assert_eq!(audited(&site, AuditAction::ChannelChange).await, 1);
    assert_eq!(admin.post(path, &[("rejection", "99")]).await.status, 404);
    assert_eq!(admin.post(path, &[]).await.status, 400);
}

#[tokio::test]
async fn live_page_shows_the_newest_events_masked() {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).build()).await;
    site.record(&[report("SM1").status("read").at(NOW - 1_000_000).build()])
        .await;
    let admin = site.admin().await;
    let page = admin.get("/console/live").await.page();
    assert!(
        page.contains(">SM1<") && page.contains("whatsapp:+***0001"),
        "{page}"
    );
    assert!(!page.contains("5550100001"));
    assert!(
        page.contains("data-live=\"") && page.contains("data-event=\"evt_"),
        "{page}"
    );
    let other = admin.get("/console/live?channel=other").await.page();
    assert!(!other.contains(">SM1<"));
    assert_eq!(admin.get("/console/live/stream").await.status, 400);
}

#[tokio::test]
async fn token_is_made_shown_once_and_revoked() {
    let site = site::local().await;
    let admin = site.admin().await;
    let fields = [
        ("name", "Anna"),
        ("role", "operator"),
        ("reveal", "1"),
        ("days", "30"),
    ];
    let made = admin.post("/console/tokens", &fields).await.page();
    let token = site::value_after(&made.replace('<', "\""), "id=\"token\">").to_owned();
    let anna = site.signed_in(&token).await;
    let list = admin.get("/console/tokens").await.page();
    assert!(
        list.contains("Operator, reveal") && !list.contains(&token),
        "{list}"
    );
    assert_eq!(anna.get("/console/tokens").await.status, 403);
    assert_eq!(anna.post("/console/tokens", &fields).await.status, 403);
    assert_eq!(admin.post("/console/tokens", &fields).await.status, 409);
    let wrong = [("name", "admin"), ("role", "root"), ("days", "0")];
    assert_eq!(admin.post("/console/tokens", &wrong).await.status, 400);
    let revoke = site::value_after(&list, "action=\"/console/tokens/");
    admin
        .post(&format!("/console/tokens/{revoke}"), &[])
        .await
        .location();
    assert_eq!(anna.get("/console/channels").await.status, 303);
    assert_eq!(audited(&site, AuditAction::TokenAdd).await, 1);
    assert_eq!(audited(&site, AuditAction::TokenRevoke).await, 1);
}

#[tokio::test]
async fn operator_sees_and_ends_only_sessions_of_its_own_token() {
    let site = site::local().await;
    let token = site.token("Anna", Role::Operator, Rights::default()).await;
    let (admin, anna) = (site.admin().await, site.signed_in(&token).await);
    let all = admin.get("/console/sessions").await.page();
    assert!(
        all.contains(">Anna<") && all.contains("this session"),
        "{all}"
    );
    let own = anna.get("/console/sessions").await.page();
    assert!(!own.contains("<strong>admin<"), "{own}");
    let sessions = site.access.sessions.list(PageSize::MAX).await.unwrap();
    let id_of = |name: &str| {
        let is_anna = name == "Anna";
        let tokens = sessions
            .iter()
            .filter(|each| (each.token == sessions[0].token) == is_anna);
        tokens.map(|each| each.id.to_string()).next().unwrap()
    };
    let foreign = id_of("admin");
    assert_eq!(
        anna.post(&format!("/console/sessions/{foreign}/end"), &[])
            .await
            .status,
        404
    );
    let own = id_of("Anna");
    admin
        .post(&format!("/console/sessions/{own}/end"), &[])
        .await
        .location();
    assert_eq!(anna.get("/console/channels").await.status, 303);
    assert_eq!(admin.get("/console/channels").await.status, 200);
}

#[tokio::test]
async fn audit_log_requires_the_right_and_lists_exports_of_itself() {
    let site = site::local().await;
    let token = site.token("Anna", Role::Operator, Rights::default()).await;
    let anna = site.signed_in(&token).await;
    assert_eq!(anna.get("/console/audit").await.status, 403);
    assert_eq!(anna.get("/console/audit.csv").await.status, 403);
    let admin = site.admin().await;
    let csv = admin.get("/console/audit.csv?operator=Anna").await.page();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains(",Anna,session.start,"));
    let page = admin.get("/console/audit?action=data.export").await.page();
    assert!(
        page.contains("data.export") && page.contains("as CSV"),
        "{page}"
    );
}

#[tokio::test]
async fn recipient_is_erased_by_an_admin_who_is_sure() {
    let site = site::local().await;
    site.record(&[report("SM1").at(NOW).build()]).await;
    let admin = site.admin().await;
    let number = ("recipient", "+15550100001");
    let unsure = admin.post("/console/erasures", &[number]).await;
    assert_eq!(unsure.status, 400);
    let named = [number, ("sure", "1"), ("reason", "asked by +15550100001")];
    assert_eq!(admin.post("/console/erasures", &named).await.status, 400);
    let sure = [number, ("sure", "1"), ("reason", "ticket 4711")];
    admin.post("/console/erasures", &sure).await.location();
    let page = admin.get("/console/erasures").await.page();
    assert!(
        page.contains("ticket 4711") && page.contains("Finished"),
        "{page}"
    );
    assert!(!page.contains("5550100001"));
    let token = site.token("Anna", Role::Operator, Rights::default()).await;
    let anna = site.signed_in(&token).await;
    assert_eq!(anna.post("/console/erasures", &sure).await.status, 403);
    assert!(
        !anna
            .get("/console/erasures")
            .await
            .page()
            .contains("Erase a recipient")
    );
}

#[tokio::test]
async fn about_page_shows_health_and_settings() {
    let site = site::local().await;
    let page = site.admin().await.get("/console/about").await.page();
    assert!(
        page.contains("1.2.3") && page.contains("RECEIPTD_PUBLIC_URL"),
        "{page}"
    );
    assert!(page.contains("Database") && page.contains("Ready"));
}

#[tokio::test]
async fn navigation_shows_what_the_operator_may_see() {
    let site = site::local().await;
    let token = site.token("Anna", Role::Viewer, Rights::default()).await;
    let anna = site
        .signed_in(&token)
        .await
        .get("/console/channels")
        .await
        .page();
    let admin = site.admin().await.get("/console/channels").await.page();
    for path in ["/console/tokens", "/console/audit"] {
        let link = format!("href=\"{path}\"");
        assert!(admin.contains(&link) && !anna.contains(&link), "{path}");
    }
}
