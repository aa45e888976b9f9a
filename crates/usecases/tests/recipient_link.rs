//! Links to the messages of a recipient.

use std::sync::Arc;

use testkit::builders::{recipient, server_secret};
use testkit::clock::FixedClock;
use usecases::RecipientLinks;

#[test]
fn link_hides_the_recipient_and_leads_back_to_it() {
    let links = RecipientLinks::new(server_secret(), Arc::new(FixedClock::default()));
    let wanted = recipient("whatsapp:+15550100001");
    let link = links.seal(&wanted);
    assert!(!link.contains("5550100001"), "{link}");
    assert_eq!(links.open(&link), Some(wanted));
}

#[test]
fn link_that_was_not_sealed_here_leads_nowhere() {
    let links = RecipientLinks::new(server_secret(), Arc::new(FixedClock::default()));
    for foreign in ["", "15550100001", "AAAA", &"A".repeat(2_000)] {
        assert_eq!(links.open(foreign), None);
    }
}
