//! Comparing what a caller presented with the credentials of its channel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::CredentialId;
use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::crypto::CredentialHash;
use ports::integrator::{AuthContext, AuthResult, Headers};

use crate::basic::{self, Authorization};

const AUTHORIZATION: &str = "Authorization";

/// Authenticates a caller by a header whose whole value is the password, with no scheme: a
/// password may begin with a word and a blank. A repeated header is no credential.
pub(crate) fn authenticate_by_key(
    headers: &dyn Headers,
    name: &str,
    context: AuthContext<'_>,
) -> AuthResult {
    if headers.get(name).is_none() {
        return AuthResult::Missing;
    }
    let key = headers.get_only(name).unwrap_or_default();
    let hash = context.secret.credential_hash(context.channel, b"", key);
    match matching(hash, context.credentials) {
        Some(credential) => AuthResult::Authenticated {
            credential,
            presented: None,
        },
        None => AuthResult::Denied,
    }
}

/// Authenticates a caller by user and password in `Authorization`. A repeated header is no
/// credential.
pub(crate) fn authenticate_by_pair(headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
    let only = headers.get_only(AUTHORIZATION);
    if only.is_none() && headers.get(AUTHORIZATION).is_some() {
        return AuthResult::Denied;
    }
    let presented = match basic::parse(only) {
        Authorization::Absent => return AuthResult::Challenge,
        Authorization::Malformed => return AuthResult::Denied,
        Authorization::Basic(presented) => presented,
    };
    let (user, password) = (presented.user().as_bytes(), presented.password().as_bytes());
    let hash = context
        .secret
        .credential_hash(context.channel, user, password);
    match matching(hash, context.credentials) {
        Some(credential) => AuthResult::Authenticated {
            credential,
            presented: Some(presented),
        },
        None => AuthResult::Denied,
    }
}

/// Returns the value of `Authorization` for user and password.
pub(crate) fn basic_value(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Returns the credential with this hash. The number of comparisons is the same for an unknown
/// channel as for one with the maximum number of credentials, so timing reveals neither.
pub(crate) fn matching(
    hash: CredentialHash,
    credentials: &[(CredentialId, CredentialHash)],
) -> Option<CredentialId> {
    let padding = (None, CredentialHash([0; 32]));
    let known = credentials.iter().map(|(id, known)| (Some(*id), *known));
    let slots = credentials.len().max(LIVE_CREDENTIALS_MAX);
    let mut matching = None;
    for (id, candidate) in known.chain(std::iter::repeat(padding)).take(slots) {
        if hash == candidate {
            matching = matching.or(id);
        }
    }
    matching
}
