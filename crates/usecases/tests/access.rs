//! Tokens, sessions and the audit log of operators.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::access::{
    AuditAction, AuditFilter, Operator, OperatorName, Rights, Role, TokenHash, TokenState,
};
use domain::page::PageSize;
use ports::Environment as _;
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::AccessControl;
use usecases::access::audit::Action;
use usecases::access::manage_tokens::{IssuedToken, NewToken, TokenError};
use usecases::access::sessions::{ActiveSession, SignInError, SignedIn};
use usecases::access::{Actor, PruneSessions};

const BOOTSTRAP: &str = "the-bootstrap-token";
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct World {
    store: MemoryStore,
    clock: Arc<FixedClock>,
    access: AccessControl,
}

fn world() -> World {
    let (store, clock) = (MemoryStore::new(), Arc::new(FixedClock::default()));
    let access = replica(&store, &clock, BOOTSTRAP);
    World {
        store,
        clock,
        access,
    }
}

/// The access control of a process on this store.
fn replica(store: &MemoryStore, clock: &Arc<FixedClock>, bootstrap: &str) -> AccessControl {
    AccessControl::new(
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        TokenHash::of(bootstrap.as_bytes()),
        clock.clone(),
    )
}

fn source(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl World {
    async fn add(&self, name: &str, role: Role, lifetime: Option<Duration>) -> IssuedToken {
        let new = NewToken {
            name: OperatorName::of_token(name).unwrap(),
            role,
            rights: Rights::default(),
            expires_at: lifetime.map(|lifetime| self.after(lifetime)),
        };
        self.access.tokens.add(new).await.unwrap()
    }

    fn after(&self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap();
        self.clock.now().plus_micros(micros)
    }

    async fn operator(&self, token: &str) -> Option<Operator> {
        self.access
            .authenticate
            .run(token.as_bytes())
            .await
            .unwrap()
    }

    async fn sign_in(&self, token: &str) -> SignedIn {
        let sessions = &self.access.sessions;
        sessions.sign_in(token, LOOPBACK, None).await.unwrap()
    }

    async fn session(&self, signed_in: &SignedIn) -> Option<ActiveSession> {
        let cookie = signed_in.key.reveal();
        self.access.sessions.authenticate(&cookie).await.unwrap()
    }

    /// The audited actions, oldest first.
    async fn actions(&self) -> Vec<(String, AuditAction)> {
        let filter = AuditFilter::default();
        let page = self.access.audit_log.run(&filter, None, PageSize::MAX);
        let entries = page.await.unwrap().items.into_iter().rev();
        entries
            .map(|entry| (entry.operator.to_string(), entry.action))
            .collect()
    }
}

#[tokio::test]
async fn bootstrap_token_is_an_admin_with_all_rights_without_the_store() {
    let world = world();
    world.store.set_unavailable(true);
    let admin = world.operator(BOOTSTRAP).await.unwrap();
    assert_eq!(admin.name, OperatorName::admin());
    assert!(admin.can_administer() && admin.can_reveal() && admin.can_audit());
    // A text that cannot be a token is refused without the store.
    assert_eq!(world.operator("the-bootstrap-tokem").await, None);
    assert_eq!(world.operator("").await, None);
    let token = format!("rcpt_{}", "a".repeat(43));
    let unavailable = world.access.authenticate.run(token.as_bytes()).await;
    assert!(unavailable.is_err());
}

#[tokio::test]
async fn named_token_authenticates_its_operator() {
    let world = world();
    let issued = world.add("anna", Role::Operator, None).await;
    let operator = world.operator(issued.text.reveal()).await.unwrap();
    assert_eq!(operator.name.as_str(), "anna");
    assert!(operator.can_change() && !operator.can_administer() && !operator.can_reveal());
    let other = issued.text.reveal().replace("rcpt_A", "rcpt_B");
    assert_eq!(world.operator(&other).await, None);
}

#[tokio::test]
async fn expired_and_revoked_tokens_are_refused_at_once_on_every_replica() {
    let world = world();
    let expiring = world.add("expiring", Role::Viewer, Some(HOUR)).await;
    let revoked = world.add("revoked", Role::Viewer, None).await;
    let other = replica(&world.store, &world.clock, BOOTSTRAP);
    for issued in [&expiring, &revoked] {
        assert!(world.operator(issued.text.reveal()).await.is_some());
    }
    let operator = world.operator(revoked.text.reveal()).await.unwrap();
    let bootstrap = world.operator(BOOTSTRAP).await.unwrap();
    let authenticate = &world.access.authenticate;
    assert!(authenticate.is_valid(&operator).await.unwrap());
    other.tokens.revoke(revoked.token.id).await.unwrap();
    assert_eq!(world.operator(revoked.text.reveal()).await, None);
    assert!(!authenticate.is_valid(&operator).await.unwrap());
    assert!(authenticate.is_valid(&bootstrap).await.unwrap());
    world.clock.advance(HOUR);
    assert_eq!(world.operator(expiring.text.reveal()).await, None);
    let states: Vec<_> = world.access.tokens.list().await.unwrap();
    let states: Vec<_> = states.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [TokenState::Expired, TokenState::Revoked]);
}

#[tokio::test]
async fn last_use_of_a_token_is_stored_once_a_minute() {
    let world = world();
    let issued = world.add("anna", Role::Viewer, None).await;
    let used = async || {
        world.operator(issued.text.reveal()).await.unwrap();
        let tokens = world.access.tokens.list().await.unwrap();
        tokens[0].0.last_used_at.unwrap()
    };
    let first = world.clock.now();
    assert_eq!(used().await, first);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(used().await, first);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(used().await, world.clock.now());
}

#[tokio::test]
async fn tokens_that_cannot_be_added_or_revoked_are_errors() {
    let world = world();
    let issued = world.add("anna", Role::Viewer, None).await;
    let new = |expires_at| NewToken {
        name: issued.token.name.clone(),
        role: Role::Admin,
        rights: Rights::ALL,
        expires_at,
    };
    let taken = world.access.tokens.add(new(None)).await;
    assert!(matches!(taken, Err(TokenError::NameTaken(_))), "{taken:?}");
    let late = world.access.tokens.add(new(Some(world.clock.now()))).await;
    assert!(matches!(late, Err(TokenError::ExpiryInThePast)), "{late:?}");
    let mut unknown = issued.token.id;
    unknown.0 = world.clock.uuid();
    let missing = world.access.tokens.revoke(unknown).await;
    assert!(matches!(missing, Err(TokenError::NoSuchToken(_))));
}

#[tokio::test]
async fn session_starts_with_a_token_and_ends_with_sign_out() {
    let world = world();
    let issued = world.add("anna", Role::Operator, None).await;
    let signed_in = world.sign_in(issued.text.reveal()).await;
    assert_eq!(signed_in.operator.name.as_str(), "anna");
    let active = world.session(&signed_in).await.unwrap();
    assert_eq!(active.operator, signed_in.operator);
    assert!(active.csrf_token.is(signed_in.key.csrf_token().reveal()));
    let other = world.sign_in(issued.text.reveal()).await;
    let sessions = &world.access.sessions;
    sessions.sign_out(&active, LOOPBACK).await.unwrap();
    assert!(world.session(&signed_in).await.is_none());
    let other_session = world.session(&other).await.unwrap();
    assert!(!other_session.csrf_token.is(active.csrf_token.reveal()));
    for cookie in ["", "x", &*signed_in.key.reveal()] {
        let found = sessions.authenticate(cookie).await.unwrap();
        assert!(found.is_none(), "{cookie}");
    }
    let expected = [
        AuditAction::SessionStart,
        AuditAction::SessionStart,
        AuditAction::SessionEnd,
    ];
    let expected = expected.map(|action| ("anna".to_owned(), action));
    assert_eq!(world.actions().await, expected);
}

#[tokio::test]
async fn sign_in_replaces_the_session_and_the_key_of_the_browser() {
    let world = world();
    let before = world.sign_in(BOOTSTRAP).await;
    let cookie = before.key.reveal();
    let sessions = &world.access.sessions;
    let planted = "A".repeat(43);
    for previous in [cookie.as_str(), planted.as_str()] {
        let signed_in = sessions.sign_in(BOOTSTRAP, LOOPBACK, Some(previous)).await;
        let signed_in = signed_in.unwrap();
        assert_ne!(signed_in.key.reveal().as_str(), previous);
        assert!(world.session(&signed_in).await.is_some());
        assert!(sessions.authenticate(previous).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn sign_out_everywhere_ends_the_sessions_of_the_token_only() {
    let world = world();
    let issued = world.add("anna", Role::Viewer, None).await;
    let other = world.sign_in(BOOTSTRAP).await;
    let first = world.sign_in(issued.text.reveal()).await;
    let second = world.sign_in(issued.text.reveal()).await;
    let active = world.session(&first).await.unwrap();
    let sessions = &world.access.sessions;
    assert_eq!(sessions.list(PageSize::MAX).await.unwrap().len(), 3);
    let ended = sessions.sign_out_everywhere(&active, LOOPBACK).await;
    assert_eq!(ended.unwrap(), 2);
    assert!(world.session(&first).await.is_none());
    assert!(world.session(&second).await.is_none());
    assert!(world.session(&other).await.is_some());
}

#[tokio::test]
async fn session_ends_with_its_token() {
    let world = world();
    let revoked = world.add("revoked", Role::Viewer, None).await;
    let expiring = world.add("expiring", Role::Viewer, Some(HOUR)).await;
    let of_revoked = world.sign_in(revoked.text.reveal()).await;
    let of_expiring = world.sign_in(expiring.text.reveal()).await;
    let of_bootstrap = world.sign_in(BOOTSTRAP).await;
    let tokens = &world.access.tokens;
    tokens.revoke(revoked.token.id).await.unwrap();
    assert!(world.session(&of_revoked).await.is_none());
    assert!(world.session(&of_expiring).await.is_some());
    world.clock.advance(HOUR);
    assert!(world.session(&of_expiring).await.is_none());
    // Another bootstrap token is configured, and the server restarted.
    assert!(world.session(&of_bootstrap).await.is_some());
    let restarted = replica(&world.store, &world.clock, "another-bootstrap-token");
    let cookie = of_bootstrap.key.reveal();
    let found = restarted.sessions.authenticate(&cookie).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test]
async fn session_ends_when_idle_or_old_and_is_pruned() {
    let world = world();
    let idle = world.sign_in(BOOTSTRAP).await;
    let used = world.sign_in(BOOTSTRAP).await;
    for _ in 0..11 {
        world.clock.advance(HOUR);
        assert!(world.session(&used).await.is_some());
    }
    assert!(world.session(&idle).await.is_none());
    world.clock.advance(HOUR);
    assert!(world.session(&used).await.is_none());
    let prune = PruneSessions::new(Arc::new(world.store.clone()), world.clock.clone());
    assert_eq!(prune.run().await.unwrap(), 2);
    assert_eq!(prune.run().await.unwrap(), 0);
}

#[tokio::test]
async fn failed_attempts_to_sign_in_are_limited_by_source() {
    let world = world();
    let sessions = &world.access.sessions;
    let attempt = async |token: &str, from: &str| {
        let result = sessions.sign_in(token, source(from), None).await;
        result.map(drop)
    };
    for _ in 0..10 {
        let refused = attempt("wrong", "192.0.2.1").await;
        assert!(matches!(refused, Err(SignInError::InvalidToken)));
    }
    for token in ["wrong", BOOTSTRAP] {
        let refused = attempt(token, "192.0.2.1").await;
        let Err(SignInError::TooManyAttempts { retry_after }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(retry_after, MINUTE * 5);
    }
    attempt(BOOTSTRAP, "192.0.2.2").await.unwrap();
    world.clock.advance(MINUTE * 5);
    attempt(BOOTSTRAP, "192.0.2.1").await.unwrap();
}

#[tokio::test]
async fn outage_of_the_store_is_no_failed_attempt_to_sign_in() {
    let world = world();
    let issued = world.add("anna", Role::Viewer, None).await;
    let sessions = &world.access.sessions;
    let token = issued.text.reveal();
    let attempt = async || sessions.sign_in(token, source("192.0.2.1"), None).await;
    world.store.set_unavailable(true);
    for _ in 0..200 {
        assert!(matches!(attempt().await, Err(SignInError::Store(_))));
    }
    world.store.set_unavailable(false);
    attempt().await.unwrap();
}

#[tokio::test]
async fn sign_in_link_works_once_and_from_this_machine_only() {
    let world = world();
    let sessions = &world.access.sessions;
    let link = sessions.add_link();
    let open = async |from: &str| {
        sessions
            .sign_in_by_link(&link.reveal(), source(from), None)
            .await
    };
    for away in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        let refused = open(away).await;
        assert!(matches!(refused, Err(SignInError::NotLoopback)), "{away}");
    }
    let signed_in = open("::ffff:127.0.0.1").await.unwrap();
    assert_eq!(signed_in.operator.name, OperatorName::admin());
    assert!(world.session(&signed_in).await.is_some());
    let again = open("127.0.0.1").await;
    assert!(matches!(again, Err(SignInError::InvalidLink)), "{again:?}");
    let late = sessions.add_link();
    world.clock.advance(MINUTE * 10);
    let refused = sessions
        .sign_in_by_link(&late.reveal(), LOOPBACK, None)
        .await;
    assert!(matches!(refused, Err(SignInError::InvalidLink)));
}

#[tokio::test]
async fn action_is_not_allowed_if_it_cannot_be_recorded_before() {
    let world = world();
    let by = Actor {
        name: OperatorName::of_command_line("root"),
        source: None,
    };
    let action = || Action::new(AuditAction::DataReveal).on("1/SM1");
    world.access.audit.before(&by, action()).await.unwrap();
    world.access.audit.after(&by, action()).await;
    world.store.set_unavailable(true);
    assert!(world.access.audit.before(&by, action()).await.is_err());
    world.access.audit.after(&by, action()).await;
    world.store.set_unavailable(false);
    let expected = vec![("cli/root".to_owned(), AuditAction::DataReveal); 2];
    assert_eq!(world.actions().await, expected);
}

#[tokio::test]
async fn audit_entries_contain_no_secret() {
    let world = world();
    let issued = world.add("anna", Role::Viewer, None).await;
    let signed_in = world.sign_in(issued.text.reveal()).await;
    let link = world.access.sessions.add_link();
    let opened = world
        .access
        .sessions
        .sign_in_by_link(&link.reveal(), LOOPBACK, None)
        .await;
    let by_link = opened.unwrap();
    let filter = AuditFilter::default();
    let page = world.access.audit_log.run(&filter, None, PageSize::MAX);
    let shown = format!("{:?}", page.await.unwrap());
    for secret in [
        issued.text.reveal(),
        &signed_in.key.reveal(),
        &by_link.key.reveal(),
        &link.reveal(),
        signed_in.key.csrf_token().reveal(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
