//! The tokens that an integrator signs its requests with.

use std::fmt;

use zeroize::Zeroizing;

use crate::text::is_ascii_token;

/// The most tokens of a channel: enough for two kinds, each with its replacement.
const MAX_TOKENS: usize = 4;

/// The signing tokens of a channel: one, or several while they are replaced. A token may have a key
/// id, by which a request names the token that it is signed with.
///
/// The text form is the tokens separated by single spaces, each as `SECRET` or `KEY_ID:SECRET`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SigningTokens(Vec<SigningToken>);

#[derive(Clone, PartialEq, Eq)]
struct SigningToken {
    key_id: Option<String>,
    secret: Zeroizing<String>,
}

/// The text is not a list of signing tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signing token is 8 to 256 printable ASCII characters without spaces, or up to four of them \
     separated by single spaces"
)]
pub struct InvalidSigningTokens;

impl SigningTokens {
    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningTokens> {
        let tokens: Option<Vec<_>> = text.split(' ').map(SigningToken::parse).collect();
        let tokens = tokens.filter(|tokens| tokens.len() <= MAX_TOKENS);
        tokens.map(Self).ok_or(InvalidSigningTokens)
    }

    /// Returns the text form. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let texts = self.0.iter().map(|each| match &each.key_id {
            Some(key_id) => format!("{key_id}:{}", each.secret.as_str()),
            None => each.secret.to_string(),
        });
        Zeroizing::new(texts.collect::<Vec<_>>().join(" "))
    }

    /// Returns whether there are none, so that no signature matches.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the secrets of all tokens, each with its key id if it has one.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let secrets = self.0.iter();
        secrets.map(|each| (each.key_id.as_deref(), each.secret.as_str()))
    }

    /// Iterates over the secrets of the tokens with this key id, or of those without one.
    pub fn of_key<'a>(&'a self, key_id: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let secrets = self.iter().filter(move |(id, _)| *id == key_id);
        secrets.map(|(_, secret)| secret)
    }
}

/// Collects key ids and secrets of any length.
impl<'a> FromIterator<(Option<&'a str>, &'a str)> for SigningTokens {
    fn from_iter<T: IntoIterator<Item = (Option<&'a str>, &'a str)>>(tokens: T) -> Self {
        let tokens = tokens.into_iter().map(|(key_id, secret)| SigningToken {
            key_id: key_id.map(str::to_owned),
            secret: Zeroizing::new(secret.to_owned()),
        });
        Self(tokens.collect())
    }
}

impl SigningToken {
    fn parse(text: &str) -> Option<Self> {
        if text.len() < 8 || !is_ascii_token(text, 256) {
            return None;
        }
        let (key_id, secret) = match text.split_once(':') {
            Some((id, secret)) if is_key_id(id) && !secret.is_empty() => (Some(id), secret),
            _ => (None, text),
        };
        Some(Self {
            key_id: key_id.map(str::to_owned),
            secret: Zeroizing::new(secret.to_owned()),
        })
    }
}

fn is_key_id(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_word)
}

impl fmt::Debug for SigningTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningTokens(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one("auth-token", &[(None, "auth-token")])]
    #[case::two("old-secret new-secret", &[(None, "old-secret"), (None, "new-secret")])]
    #[case::named("key.one_1-:se:cret other-secret", &[(Some("key.one_1-"), "se:cret"), (None, "other-secret")])]
    #[case::no_key_id("a/b:secret :secret-text secret-text:", &[(None, "a/b:secret"), (None, ":secret-text"), (None, "secret-text:")])]
    fn tokens_are_separated_by_spaces(
        #[case] text: &str,
        #[case] expected: &[(Option<&str>, &str)],
    ) {
        let secrets = SigningTokens::parse(text).unwrap();
        assert_eq!(secrets.iter().collect::<Vec<_>>(), expected);
        assert_eq!(secrets.reveal().as_str(), text);
        assert_eq!(format!("{secrets:?}"), "SigningTokens(***)");
    }

    #[rstest]
    #[case("")]
    #[case("seven77")]
    #[case("auth-token ")]
    #[case("auth-token  auth-token")]
    #[case("auth-token\nauth-token")]
    #[case("auth-tökens")]
    #[case("auth-token1 auth-token2 auth-token3 auth-token4 auth-token5")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert_eq!(SigningTokens::parse(text), Err(InvalidSigningTokens));
    }

    #[test]
    fn secrets_of_a_key_are_found() {
        let secrets = SigningTokens::parse("a:secret-a secret-b a:secret-c").unwrap();
        let of = |key| secrets.of_key(key).collect::<Vec<_>>();
        assert_eq!(of(Some("a")), ["secret-a", "secret-c"]);
        assert_eq!(of(None), ["secret-b"]);
        assert_eq!(of(Some("b")), [""; 0]);
    }
}
