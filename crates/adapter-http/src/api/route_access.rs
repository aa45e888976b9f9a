//! What each route of the API requires of an operator, and which audit entry it leaves.

use domain::access::{AuditAction, Permission};

/// What a route requires, and how its success is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteAccess {
    pub(crate) permission: Permission,
    /// `None`: only revealed data is audited.
    pub(crate) audit: Option<AuditAction>,
}

/// A route without an entry: only an admin may try it. Also methods that a path does not support.
const UNLISTED: RouteAccess = RouteAccess {
    permission: Permission::Administer,
    audit: None,
};

const fn read(permission: Permission) -> RouteAccess {
    RouteAccess {
        permission,
        audit: None,
    }
}

const fn change(audit: AuditAction) -> RouteAccess {
    RouteAccess {
        permission: Permission::Change,
        audit: Some(audit),
    }
}

const fn administer(audit: AuditAction) -> RouteAccess {
    RouteAccess {
        permission: Permission::Administer,
        audit: Some(audit),
    }
}

/// Returns the access of a route. `pattern` is its path with the names of parameters in braces;
/// `method` is upper case, and HEAD counts as GET.
pub(crate) fn of_route(method: &str, pattern: &str) -> RouteAccess {
    let below_api = pattern.strip_prefix("/api/v1").unwrap_or(pattern);
    let method = if method == "HEAD" { "GET" } else { method };
    known(method, below_api).unwrap_or(UNLISTED)
}

fn known(method: &str, pattern: &str) -> Option<RouteAccess> {
    Some(match (method, pattern) {
        ("GET", "/tokens") => read(Permission::Administer),
        ("GET", "/audit") => read(Permission::Audit),
        (
            "GET",
            "/channels"
            | "/channels/{channel}"
            | "/messages"
            | "/messages/{channel}/{sid}"
            | "/events"
            | "/events/stream"
            | "/cursors"
            | "/cursors/{name}"
            | "/subscriptions"
            | "/subscriptions/{subscription}"
            | "/subscriptions/{subscription}/deliveries"
            | "/deliveries/{delivery}"
            | "/erasures"
            | "/erasures/{erasure}"
            | "/rejections"
            | "/stats"
            | "/troubles"
            | "/operator-events"
            | "/trouble-settings"
            | "/channels/{channel}/trouble-settings"
            | "/channels/{channel}/reconciliation",
        ) => read(Permission::Read),
        ("POST", "/channels") => change(AuditAction::ChannelAdd),
        ("PATCH", "/channels/{channel}")
        | ("PUT" | "DELETE", "/channels/{channel}/reconciliation") => {
            change(AuditAction::ChannelChange)
        }
        ("DELETE", "/channels/{channel}") => change(AuditAction::ChannelRemove),
        ("POST", "/channels/{channel}/test") => change(AuditAction::ChannelTest),
        ("POST", "/channels/{channel}/credentials") => change(AuditAction::CredentialAdd),
        ("DELETE", "/channels/{channel}/credentials/{credential}") => {
            change(AuditAction::CredentialRemove)
        }
        ("PUT", "/cursors/{name}") => change(AuditAction::CursorSet),
        ("DELETE", "/cursors/{name}") => change(AuditAction::CursorRemove),
        ("POST", "/subscriptions") => change(AuditAction::SubscriptionAdd),
        ("PATCH", "/subscriptions/{subscription}") => change(AuditAction::SubscriptionChange),
        ("DELETE", "/subscriptions/{subscription}") => change(AuditAction::SubscriptionRemove),
        ("POST", pattern) if pattern.starts_with("/subscriptions/{subscription}/") => {
            of_subscription(pattern)?
        }
        ("PUT", "/troubles/{trouble}/snooze") => change(AuditAction::TroubleSnooze),
        ("DELETE", "/troubles/{trouble}/snooze") => change(AuditAction::TroubleEndSnooze),
        ("PUT", "/trouble-settings")
        | ("PUT" | "DELETE", "/channels/{channel}/trouble-settings") => {
            change(AuditAction::TroubleSettings)
        }
        ("POST", "/deliveries/{delivery}/retry") => change(AuditAction::DeliveryRetry),
        ("POST", "/erasures") => administer(AuditAction::RecipientErase),
        ("POST", "/tokens") => administer(AuditAction::TokenAdd),
        ("DELETE", "/tokens/{token}") => administer(AuditAction::TokenRevoke),
        _ => return None,
    })
}

/// Returns the access of an action on a subscription.
fn of_subscription(pattern: &str) -> Option<RouteAccess> {
    let action = pattern.strip_prefix("/subscriptions/{subscription}/")?;
    Some(change(match action {
        "pause" => AuditAction::SubscriptionPause,
        "resume" => AuditAction::SubscriptionResume,
        "secret" => AuditAction::SubscriptionRotateSecret,
        "test" => AuditAction::SubscriptionTest,
        "replay" => AuditAction::SubscriptionReplay,
        "deliveries/retry" => AuditAction::DeliveryRetry,
        _ => return None,
    }))
}
