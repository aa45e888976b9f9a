//! Who may use the console and what they did: tokens, sessions, the audit log.

pub(crate) mod audit;
pub(crate) mod sessions;
pub(crate) mod tokens;

use domain::access::{Rights, Role};

/// Returns the role and rights of an operator for people.
fn role_words(role: Role, rights: Rights) -> String {
    let role = match role {
        Role::Viewer => "Viewer",
        Role::Operator => "Operator",
        Role::Admin => "Admin",
    };
    let rights = [(rights.reveal, "reveal"), (rights.audit, "audit")];
    let rights = rights.into_iter().filter(|(has, _)| *has);
    rights.fold(role.to_owned(), |words, (_, right)| {
        format!("{words}, {right}")
    })
}
