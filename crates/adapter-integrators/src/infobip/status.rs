//! What Infobip's statuses mean. The group decides first, since one id occurs in two groups; the
//! id tells apart what a group lumps together.

use domain::DeliveryStatus;

/// What a status means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// One of the statuses of this service.
    Known(DeliveryStatus),
    /// An unknown group of this name.
    Unknown(&'a str),
    /// There is neither a group nor its id.
    Missing,
}

/// Returns what a status means. Infobip's page for this interface promises the name of the group
/// alone; its number may be a text.
pub(super) fn outcome<'a>(
    group: Option<&'a str>,
    group_id: Option<&'a str>,
    id: Option<&str>,
) -> Outcome<'a> {
    let Some(group) = group.or_else(|| group_id.map(group_name)) else {
        return Outcome::Missing;
    };
    Outcome::Known(match (group.to_ascii_uppercase().as_str(), id) {
        // At the operator, not yet at the device.
        ("PENDING", Some("3")) | ("DELIVERED", Some("2")) => DeliveryStatus::Sent,
        ("PENDING", Some("7")) => DeliveryStatus::Sending,
        ("PENDING" | "ACCEPTED" | "OK", _) => DeliveryStatus::Accepted,
        ("DELIVERED", _) => DeliveryStatus::Delivered,
        // It never left.
        ("UNDELIVERABLE", Some("31")) | ("REJECTED", _) => DeliveryStatus::Failed,
        ("UNDELIVERABLE" | "EXPIRED", _) => DeliveryStatus::Undelivered,
        _ => return Outcome::Unknown(group),
    })
}

/// Returns the name of a group by its number; the number itself if it is unknown.
fn group_name(id: &str) -> &str {
    match id {
        "0" => "ACCEPTED",
        "1" => "PENDING",
        "2" => "UNDELIVERABLE",
        "3" => "DELIVERED",
        "4" => "EXPIRED",
        "5" => "REJECTED",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ACCEPTED", None, DeliveryStatus::Accepted)]
    #[case("PENDING", Some("26"), DeliveryStatus::Accepted)]
    #[case("PENDING", Some("7"), DeliveryStatus::Sending)]
    #[case("PENDING", Some("3"), DeliveryStatus::Sent)]
    #[case("PENDING", None, DeliveryStatus::Accepted)]
    #[case("PENDING", Some("999"), DeliveryStatus::Accepted)]
    #[case("DELIVERED", Some("2"), DeliveryStatus::Sent)]
    #[case("DELIVERED", Some("5"), DeliveryStatus::Delivered)]
    #[case("delivered", None, DeliveryStatus::Delivered)]
    #[case("UNDELIVERABLE", Some("31"), DeliveryStatus::Failed)]
    #[case("UNDELIVERABLE", Some("4"), DeliveryStatus::Undelivered)]
    #[case("EXPIRED", Some("15"), DeliveryStatus::Undelivered)]
    #[case("EXPIRED", Some("87"), DeliveryStatus::Undelivered)]
    #[case("REJECTED", Some("87"), DeliveryStatus::Failed)]
    fn group_decides_and_the_id_refines(
        #[case] group: &str,
        #[case] id: Option<&str>,
        #[case] expected: DeliveryStatus,
    ) {
        assert_eq!(outcome(Some(group), None, id), Outcome::Known(expected));
    }

    #[test]
    fn number_of_the_group_replaces_its_name() {
        let delivered = Outcome::Known(DeliveryStatus::Delivered);
        assert_eq!(outcome(None, Some("3"), None), delivered);
        assert_eq!(outcome(None, Some("9"), None), Outcome::Unknown("9"));
        assert_eq!(outcome(None, None, Some("5")), Outcome::Missing);
    }
}
