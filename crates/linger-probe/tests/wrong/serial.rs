//! Servers that serve one connection at a time: rows that wait must not make other rows fail.

use std::time::Duration;

use linger_probe::battery;
use linger_probe::check::check;
use linger_probe::discover::discover;
use linger_probe::find::find;
use linger_probe::model::Verdict;
use linger_probe::target::Options;
use linger_probe::trust::Trust;
use tokio::io::AsyncWriteExt;
use tower_linger_tests::server::listen;

use super::{RESPONSE, end, head};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_one_connection_at_a_time_is_asked_for_one_at_a_time() {
    let listener = listen().await;
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let server = tokio::spawn(async move {
        while let Ok((mut io, _)) = listener.accept().await {
            if head(&mut io).await.is_some() && io.write_all(RESPONSE).await.is_ok() {
                let _ = end(&mut io).await;
            }
        }
    });
    let options = Options {
        repetitions: 3,
        timeout: Duration::from_secs(10),
        release_timeout: Duration::from_secs(4),
        ..Options::default()
    };
    let mut target = find(&url, &Trust::default(), &options, false).await.expect("it is there");
    let abilities = discover(&mut target, &options).await.expect("it answers");
    assert!(!abilities.concurrent && abilities.http1, "{abilities:?}");
    let wanted = ["close.requested", "close.pipelined", "release.silent", "release.trickle"];
    let scenarios = battery::ALL.iter().filter(|scenario| wanted.contains(&scenario.name));
    let report = check(&target, &options, &abilities, scenarios, |_| ()).await;
    for row in &report.rows {
        assert_eq!(row.verdict, Verdict::Pass, "{row:#?}");
        let waits = row.scenario.starts_with("release");
        assert_eq!(row.attempts.len(), if waits { 1 } else { 3 }, "{row:#?}");
    }
    assert_eq!((report.rows.len(), report.lost), (4, None));
    server.abort();
}
