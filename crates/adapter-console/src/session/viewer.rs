//! Who is signed in.

use std::net::IpAddr;

use domain::access::{Permission, Role};
use usecases::access::Actor;
use usecases::access::sessions::ActiveSession;

/// An operator who is signed in.
#[derive(Clone)]
pub(crate) struct Viewer {
    /// The session, with the operator and its permissions.
    pub(crate) session: ActiveSession,
    /// The address of the request.
    pub(crate) source: IpAddr,
}

impl Viewer {
    /// Returns whether the operator has a permission.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.session.operator.may(permission)
    }

    /// Returns the name in the audit log.
    pub(crate) fn name(&self) -> String {
        self.session.operator.name.to_string()
    }

    /// Returns the role for people.
    pub(crate) const fn role_word(&self) -> &'static str {
        match self.session.operator.role {
            Role::Viewer => "Viewer",
            Role::Operator => "Operator",
            Role::Admin => "Admin",
        }
    }

    /// Returns whom the audit log names.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            name: self.session.operator.name.clone(),
            source: Some(self.source),
        }
    }
}
