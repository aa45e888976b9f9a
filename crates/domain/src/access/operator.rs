//! Operators, and what each may do.

use std::fmt;
use std::str::FromStr;

use super::OperatorTokenId;

/// Names that no token may have: those of the bootstrap token and of the command line.
const RESERVED: [&str; 2] = ["admin", "cli"];

/// The name of an operator, as the audit log shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorName(String);

/// The text is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to 60 ASCII letters, digits, spaces and . _ - @, without spaces at its ends, and \
     not admin or cli"
)]
pub struct InvalidOperatorName;

impl OperatorName {
    /// Parses the name of a new token. It is ASCII, so that no two names look alike in the audit
    /// log.
    pub fn of_token(text: &str) -> Result<Self, InvalidOperatorName> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-@".contains(&byte);
        let is_name = (1..=60).contains(&text.len())
            && text.bytes().all(fits)
            && text.trim() == text
            && !RESERVED.iter().any(|name| name.eq_ignore_ascii_case(text));
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOperatorName)
        }
    }

    /// Returns the name of the bootstrap token, `admin`.
    #[must_use]
    pub fn admin() -> Self {
        Self("admin".to_owned())
    }

    /// Returns the name of a user of the command line, such as `cli/root`. No token has such a
    /// name, because of the slash.
    #[must_use]
    pub fn of_command_line(user: &str) -> Self {
        let plain = user.chars().filter(|it| !it.is_control());
        let plain: String = plain.take(60).collect();
        Self(format!("cli/{plain}"))
    }

    /// Parses any name: of a token, of the bootstrap token, or of a user of the command line.
    pub fn parse(text: &str) -> Result<Self, InvalidOperatorName> {
        if crate::text::is_plain_line(text, 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOperatorName)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operator may do; each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything but the audit log, with personal data masked.
    Viewer,
    /// Changes channels, subscriptions and cursors, and retries deliveries.
    Operator,
    /// Manages tokens, erases recipients and reads the audit log.
    Admin,
}

/// The text is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is viewer, operator or admin")]
pub struct InvalidRole;

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.as_str() == text).ok_or(InvalidRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Rights that no role includes, except that an admin may read the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Personal data may be shown unmasked.
    pub reveal: bool,
    /// The audit log may be read.
    pub audit: bool,
}

impl Rights {
    /// All rights.
    pub const ALL: Self = Self {
        reveal: true,
        audit: true,
    };
}

/// What a request requires of its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Reading masked data: every operator may.
    Read,
    /// Changing channels, subscriptions and cursors, and retrying deliveries.
    Change,
    /// Managing tokens and sessions, and erasing recipients.
    Administer,
    /// Reading unmasked data.
    Reveal,
    /// Reading the audit log.
    Audit,
}

impl Permission {
    /// Returns what a token must have, for people: `the role operator or admin`.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::Read => "a token",
            Self::Change => "the role operator or admin",
            Self::Administer => "the role admin",
            Self::Reveal => "the right reveal",
            Self::Audit => "the right audit or the role admin",
        }
    }
}

/// An authenticated operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name of the token.
    pub name: OperatorName,
    /// The token.
    pub token: OperatorTokenId,
    /// The role.
    pub role: Role,
    /// The rights besides the role.
    pub rights: Rights,
}

impl Operator {
    /// Returns whether the operator has a permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Change => self.role >= Role::Operator,
            Permission::Administer => self.role == Role::Admin,
            Permission::Reveal => self.rights.reveal,
            Permission::Audit => self.rights.audit || self.role == Role::Admin,
        }
    }

    /// Returns whether the operator may change channels, subscriptions and cursors.
    #[must_use]
    pub fn can_change(&self) -> bool {
        self.may(Permission::Change)
    }

    /// Returns whether the operator may see unmasked data.
    #[must_use]
    pub fn can_reveal(&self) -> bool {
        self.may(Permission::Reveal)
    }

    /// Returns whether the operator may read the audit log.
    #[must_use]
    pub fn can_audit(&self) -> bool {
        self.may(Permission::Audit)
    }

    /// Returns whether the operator may manage tokens and erase recipients.
    #[must_use]
    pub fn can_administer(&self) -> bool {
        self.may(Permission::Administer)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    #[rstest]
    #[case(Role::Viewer, Rights::default(), [true, false, false, false, false])]
    #[case(Role::Operator, Rights::default(), [true, true, false, false, false])]
    #[case(Role::Admin, Rights::default(), [true, true, true, false, true])]
    #[case(Role::Viewer, Rights::ALL, [true, false, false, true, true])]
    #[case(Role::Admin, Rights::ALL, [true, true, true, true, true])]
    fn permissions_follow_from_role_and_rights(
        #[case] role: Role,
        #[case] rights: Rights,
        #[case] expected: [bool; 5],
    ) {
        let operator = Operator {
            name: OperatorName::admin(),
            token: OperatorTokenId(Uuid::nil()),
            role,
            rights,
        };
        let permissions = [
            Permission::Read,
            Permission::Change,
            Permission::Administer,
            Permission::Reveal,
            Permission::Audit,
        ];
        assert_eq!(permissions.map(|each| operator.may(each)), expected);
        let [_, change, administer, reveal, audit] = expected;
        assert_eq!(operator.can_change(), change);
        assert_eq!(operator.can_administer(), administer);
        assert_eq!(operator.can_reveal(), reveal);
        assert_eq!(operator.can_audit(), audit);
    }

    #[test]
    fn token_cannot_take_the_name_of_the_bootstrap_token_or_the_command_line() {
        for name in ["Anna Smith", "grafana-2", "ops@example.com", "x"] {
            assert_eq!(OperatorName::of_token(name).unwrap().as_str(), name);
        }
        let long = "a".repeat(61);
        for name in [
            "",
            " ",
            "a ",
            "ä",
            "\u{430}dmin",
            "admin",
            "Admin",
            "CLI",
            "cli/root",
            "a\nb",
            "a<b>",
            &long,
        ] {
            assert_eq!(OperatorName::of_token(name), Err(InvalidOperatorName));
        }
    }

    #[test]
    fn user_of_the_command_line_has_a_name_that_can_be_stored() {
        for (user, name) in [("root", "cli/root"), ("a\u{1b}[31m\0b", "cli/a[31mb")] {
            let made = OperatorName::of_command_line(user);
            assert_eq!(made.as_str(), name);
            assert_eq!(OperatorName::parse(made.as_str()), Ok(made));
        }
        let long = OperatorName::of_command_line(&"ü".repeat(99));
        assert_eq!(OperatorName::parse(long.as_str()), Ok(long));
    }
}
