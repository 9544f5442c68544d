//! The probe draws its ladders from packets.

use std::sync::Arc;

use linger_probe::battery;
use linger_probe::check::{Abilities, check};
use linger_probe::find::find;
use linger_probe::model::{Event, Ladders, Side, What};
use linger_probe::target::Options;
use linger_probe::trust::Trust;
use tower_linger::LingerLayer;
use tower_linger_tests::certs::{Certs, ClientAuth, Version};
use tower_linger_tests::server::{Engine, Running};

use super::common::{UPLOAD_BYTES, bare, layered};

/// Packets show what no socket can: `close_notify` and FIN in one segment, and the time of a reset.
pub(crate) async fn a_ladder_from_packets_shows_what_left_together() {
    let certs = Certs::make();
    for version in Version::ALL {
        let config = || certs.server(&[version], ClientAuth::None);
        let server = layered(Engine::Hyper, &LingerLayer::default(), config()).await;
        let ladder = ladder(&server, &certs, version, "tls.close_notify").await;
        let whats: Vec<_> = ladder.iter().map(|event| (event.side, &event.what)).collect();
        let position = |side, what: What| {
            let found = ladder.iter().position(|event| event.side == side && event.what == what);
            found.unwrap_or_else(|| panic!("{side:?} never sends {what:?}: {whats:?}"))
        };
        assert_eq!(position(Side::Client, What::Connect), 0, "{whats:?}");
        let (notify, fin) = (position(Side::Server, What::CloseNotify), position(Side::Server, What::Fin));
        assert_eq!((notify + 1, ladder[notify].at), (fin, ladder[fin].at), "{version:?}: {ladder:?}");
        assert!(position(Side::Client, What::Fin) > fin, "{whats:?}");
        assert!(!whats.contains(&(Side::Server, &What::Reset)), "{whats:?}");

        let ladder = self::ladder(&bare(config()).await, &certs, version, "early.stops_at_error").await;
        assert!(
            ladder.iter().any(|event| event.side == Side::Server && event.what == What::Reset),
            "{ladder:?}"
        );
    }
}

async fn ladder(server: &Running, certs: &Certs, version: Version, scenario: &str) -> Vec<Event> {
    let options =
        Options { wire: true, repetitions: 1, upload_bytes: UPLOAD_BYTES as u64, ..Options::default() };
    let url = format!("https://{}/413", server.address);
    let mut target = find(&url, &Trust::default(), &options, false).await.expect("a URL");
    if let Some(tls) = &mut target.tls {
        tls.config = Arc::new(certs.client(&[version]));
    }
    let scenarios = battery::ALL.iter().filter(|found| found.name == scenario);
    let report = check(&target, &options, &Abilities::default(), scenarios, |_| ()).await;
    assert_eq!(report.ladders, Ladders::Packets);
    report.rows.into_iter().next().expect("the scenario is known").ladder
}
