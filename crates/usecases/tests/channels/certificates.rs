//! When the certificates of public URLs expire.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{PublicUrl, Timestamp};
use ports::UrlProbe;
use ports::url_probe::{PresentedCertificate, ProbeAnswer, ProbeTarget, ProbedConnection, Timed};
use testkit::builders::channel_id;
use testkit::probe::UnresolvedHost;
use usecases::CheckCertificates;
use usecases::channels::certificates::CheckedCertificate;
use usecases::channels::manage::{ChannelChanges, NewChannel};

use super::{World, integrators, new_channel};

const EXPIRES: &str = "2027-01-31T00:00:00Z";

/// A network in which one host has a certificate, and no other host exists.
struct OneHost;

#[async_trait]
impl UrlProbe for OneHost {
    async fn connect(&self, target: &ProbeTarget) -> ProbedConnection {
        if target.url.url().host_str() != Some("reports.example.com") {
            return UnresolvedHost.connect(target).await;
        }
        assert!(target.private, "the URL of the service may lead anywhere");
        let timed = |took| Duration::from_millis(took);
        ProbedConnection {
            lookup: Timed {
                result: Ok(vec![[192, 0, 2, 7].into()]),
                took: timed(1),
            },
            connect: Some(Timed {
                result: Ok(([192, 0, 2, 7], 443).into()),
                took: timed(2),
            }),
            handshake: Some(Timed {
                result: Ok("TLS 1.3".to_owned()),
                took: timed(3),
            }),
            certificates: vec![PresentedCertificate {
                subject: "reports.example.com".to_owned(),
                issuer: "an authority".to_owned(),
                expires_at: Timestamp::parse(EXPIRES).unwrap(),
            }],
        }
    }

    async fn post(
        &self,
        target: &ProbeTarget,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Timed<ProbeAnswer> {
        UnresolvedHost.post(target, headers, body).await
    }
}

#[tokio::test]
async fn each_host_of_enabled_channels_is_looked_at_once() {
    let world = World::new();
    let with_url = |id: &str, url: &str| NewChannel {
        public_url: Some(PublicUrl::parse(url).unwrap()),
        ..new_channel(id)
    };
    for new in [
        new_channel("1"),
        new_channel("2"),
        new_channel("off"),
        with_url("lost", "https://user:secret@lost.example.com:8443"),
        with_url("plain", "http://plain.example.com"),
    ] {
        world.manage.add(new).await.unwrap();
    }
    let off = ChannelChanges {
        enabled: Some(false),
        ..ChannelChanges::default()
    };
    world.manage.update(&channel_id("off"), off).await.unwrap();
    let check = CheckCertificates::new(
        Arc::new(world.store.clone()),
        Arc::new(OneHost),
        integrators(),
        PublicUrl::parse("https://reports.example.com").unwrap(),
        false,
    );
    let expected = [
        CheckedCertificate {
            host: "lost.example.com:8443".to_owned(),
            channels: vec![channel_id("lost")],
            expires_at: Err("the name has no address".to_owned()),
        },
        CheckedCertificate {
            host: "reports.example.com".to_owned(),
            channels: vec![channel_id("1"), channel_id("2")],
            expires_at: Ok(Timestamp::parse(EXPIRES).unwrap()),
        },
    ];
    assert_eq!(check.run().await.unwrap(), expected);
}
