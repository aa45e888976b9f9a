//! Which addresses may be connected to. The check uses the very addresses of the connection: a name
//! that was harmless when it was configured may resolve to others later.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;

use domain::webhook::{SpecialNetwork, TargetUrl, special_network};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{Semaphore, oneshot};

/// The maximum number of concurrent DNS lookups. A lookup cannot be cancelled, and takes half a
/// minute if the name servers do not answer.
const MAX_LOOKUPS: usize = 64;

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllowedAddresses {
    /// The public internet only.
    Public,
    /// Anywhere, this machine included.
    Anywhere,
}

/// The endpoint has an address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {network} address")]
pub(crate) struct AddressNotAllowed {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
    pub(crate) network: SpecialNetwork,
}

/// The name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
pub(crate) struct NoAddress;

impl AllowedAddresses {
    /// Checks a URL with a literal address, which the resolver never sees.
    pub(crate) fn check(self, target: &TargetUrl) -> Result<(), AddressNotAllowed> {
        match target.literal_address() {
            Some(address) => self.check_address(&address.to_string(), address),
            None => Ok(()),
        }
    }

    /// Returns the allowed addresses of one host; fails if there is none.
    pub(crate) fn filter(
        self,
        host: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, AddressNotAllowed> {
        let mut refused = None;
        addresses.retain(|address| match self.check_address(host, address.ip()) {
            Ok(()) => true,
            Err(error) => {
                refused.get_or_insert(error);
                false
            }
        });
        match refused {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }

    fn check_address(self, host: &str, address: IpAddr) -> Result<(), AddressNotAllowed> {
        match (self, special_network(address)) {
            (Self::Public, Some(network)) => Err(AddressNotAllowed {
                host: host.to_owned(),
                address,
                network,
            }),
            (Self::Public, None) | (Self::Anywhere, _) => Ok(()),
        }
    }
}

/// Resolves names as the system does and returns the allowed addresses.
pub(crate) struct Resolver {
    allowed: AllowedAddresses,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(crate) fn new(allowed: AllowedAddresses) -> Self {
        Self {
            allowed,
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, lookups) = (self.allowed, Arc::clone(&self.lookups));
        Box::pin(async move {
            let found = look_up(name.as_str().to_owned(), lookups).await?;
            if found.is_empty() {
                return Err(NoAddress.into());
            }
            let addresses = allowed.filter(name.as_str(), found)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Resolves a name on a new thread: the runtime's threads for blocking work also serve the journal,
/// and a shutdown waits for them.
pub(crate) async fn look_up(name: String, lookups: Arc<Semaphore>) -> io::Result<Vec<SocketAddr>> {
    let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("name-lookup".to_owned())
        .spawn(move || {
            // The client replaces port 0 by the port of the URL.
            let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
            // Released when the lookup ends, not when the caller gives up.
            drop(permit);
            // The caller may have given up.
            let _ = tell.send(found);
        })?;
    told.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect()
    }

    #[test]
    fn only_the_public_addresses_of_a_name_are_used() {
        let found = addresses(&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]);
        assert_eq!(
            AllowedAddresses::Public.filter("example.com", found),
            Ok(addresses(&["1.1.1.1", "2606:4700::1111"]))
        );
    }

    #[test]
    fn a_name_without_a_public_address_is_refused() {
        let refused =
            AllowedAddresses::Public.filter("inner.example.com", addresses(&["10.0.0.1", "::1"]));
        assert_eq!(
            refused,
            Err(AddressNotAllowed {
                host: "inner.example.com".to_owned(),
                address: [10, 0, 0, 1].into(),
                network: SpecialNetwork::Private,
            })
        );
    }

    #[test]
    fn with_the_setting_every_address_is_used() {
        let found = addresses(&["10.0.0.1", "1.1.1.1"]);
        assert_eq!(
            AllowedAddresses::Anywhere.filter("x", found.clone()),
            Ok(found)
        );
    }
}
