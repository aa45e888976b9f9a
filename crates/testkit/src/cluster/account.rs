//! The account of the server: PostgreSQL refuses to run as root.

use std::{fs, io};

/// User and group id of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Returns the user `postgres`, or `nobody` if PostgreSQL was installed without one.
    pub(super) fn unprivileged() -> io::Result<Self> {
        let passwd = fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"].iter().find_map(|name| Self::in_passwd(&passwd, name)).ok_or_else(
            || {
                io::Error::other(
                    "PostgreSQL does not run as root, and /etc/passwd has neither postgres nor nobody",
                )
            },
        )
    }

    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { uid, gid })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgres-old:x:7:8::/:/bin/false\n\
        postgres:x:107:115:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(
            Account::in_passwd(PASSWD, "postgres"),
            Some(Account { uid: 107, gid: 115 })
        );
        assert_eq!(Account::in_passwd(PASSWD, "nobody"), None);
    }
}
