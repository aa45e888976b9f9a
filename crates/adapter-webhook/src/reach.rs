//! What may be connected to. A target is checked when it is connected, with the
//! very addresses that are then used: a name that was harmless when it was
//! configured may since have moved.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;

use domain::webhook::{SpecialNetwork, TargetUrl, special_network};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{Semaphore, oneshot};

/// How many names are looked up at a time. A look-up cannot be stopped, and one
/// of a name whose servers are silent lasts half a minute.
const LOOKUPS_MAX: usize = 64;

/// Where events may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The public internet only.
    Public,
    /// Anywhere, this machine included.
    Anywhere,
}

/// The target is at an address that events may not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {network} address")]
pub(crate) struct OutOfReach {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
    pub(crate) network: SpecialNetwork,
}

/// The name has no address at all.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
struct NoAddress;

impl Reach {
    /// Checks a target that names its address without a name. Those never come
    /// to the resolver.
    pub(crate) fn check(self, target: &TargetUrl) -> Result<(), OutOfReach> {
        match target.literal_address() {
            Some(address) => self.check_address(&address.to_string(), address),
            None => Ok(()),
        }
    }

    /// Of the addresses of one host those that may be connected to, at least one.
    fn filter(
        self,
        host: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutOfReach> {
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

    fn check_address(self, host: &str, address: IpAddr) -> Result<(), OutOfReach> {
        match (self, special_network(address)) {
            (Self::Public, Some(network)) => Err(OutOfReach {
                host: host.to_owned(),
                address,
                network,
            }),
            (Self::Public, None) | (Self::Anywhere, _) => Ok(()),
        }
    }
}

/// Looks names up as the system does, and keeps what is within reach.
pub(crate) struct Resolver {
    reach: Reach,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(crate) fn new(reach: Reach) -> Self {
        Self {
            reach,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookups) = (self.reach, Arc::clone(&self.lookups));
        Box::pin(async move {
            let found = look_up(name.as_str().to_owned(), lookups).await?;
            if found.is_empty() {
                return Err(NoAddress.into());
            }
            let addresses = reach.filter(name.as_str(), found)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Asks the system on a thread of its own: the runtime's threads for blocking
/// work also serve the journal, and stopping the program waits for them.
async fn look_up(name: String, lookups: Arc<Semaphore>) -> io::Result<Vec<SocketAddr>> {
    let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("name-lookup".to_owned())
        .spawn(move || {
            // Port 0 is replaced by that of the target.
            let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
            // Given back when the look-up ends, not when nobody waits for it any more.
            drop(permit);
            // Nobody may be waiting any more.
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
    fn of_both_kinds_of_addresses_only_the_public_ones_are_used() {
        let found = addresses(&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]);
        assert_eq!(
            Reach::Public.filter("example.com", found),
            Ok(addresses(&["1.1.1.1", "2606:4700::1111"]))
        );
    }

    #[test]
    fn a_name_without_a_public_address_is_refused() {
        let refused = Reach::Public.filter("inner.example.com", addresses(&["10.0.0.1", "::1"]));
        assert_eq!(
            refused,
            Err(OutOfReach {
                host: "inner.example.com".to_owned(),
                address: [10, 0, 0, 1].into(),
                network: SpecialNetwork::Private,
            })
        );
    }

    #[test]
    fn with_the_setting_every_address_is_used() {
        let found = addresses(&["10.0.0.1", "1.1.1.1"]);
        assert_eq!(Reach::Anywhere.filter("x", found.clone()), Ok(found));
    }
}
