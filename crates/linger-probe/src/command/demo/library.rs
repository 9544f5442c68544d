//! A row for a real HTTP client crate: reqwest, as its users call it.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use linger_probe::model::{Attempt, End, Row, Severity, Verdict};
use linger_probe::target::{Options, Target};
use linger_probe::trust::Trust;
use tokio::time::Instant;

use crate::command::CommandError;

/// Tries a large upload that is refused, and returns a row like those of the battery.
pub(super) async fn row(target: &Target, options: &Options, trust: &Trust) -> Result<Row, CommandError> {
    // reqwest needs a default provider, although its configuration has a provider already. The second call
    // fails, because the first has installed it.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(options.timeout)
        .pool_max_idle_per_host(0)
        .no_proxy()
        .tls_backend_preconfigured(trust.client()?)
        .build()?;
    let size = usize::try_from(options.upload_bytes)?;
    let (body, mut attempts) = (Bytes::from(vec![0; size]), Vec::new());
    for _ in 0..options.repetitions {
        attempts.push(attempt(&client, target, body.clone()).await);
    }
    let failed = attempts.iter().filter(|attempt| !attempt.passed).count();
    let (verdict, reason) = match failed {
        0 => (Verdict::Pass, "each try went as it should".to_owned()),
        _ => (
            Verdict::Fail,
            format!("{failed} of {}: its users get an error instead of the response", attempts.len()),
        ),
    };
    Ok(Row {
        scenario: "early.reqwest",
        title: "A large upload is refused; the client is reqwest",
        clause: "RFC 9112 §9.6",
        severity: Severity::LosesResponses,
        verdict,
        reason,
        attempts,
        ladder: Vec::new(),
    })
}

async fn attempt(client: &reqwest::Client, target: &Target, body: Bytes) -> Attempt {
    let begun = Instant::now();
    let answered = async {
        let response = client.put(&target.url).body(body).send().await?;
        let (status, length) = (response.status().as_u16(), response.content_length());
        Ok::<_, reqwest::Error>((status, length, response.bytes().await?.len() as u64))
    };
    let (status, body_bytes, complete, end, saw) = match answered.await {
        Ok((status, length, bytes)) if length == Some(bytes) => {
            (Some(status), bytes, true, End::Fin, format!("{status}, whole"))
        }
        Ok((status, _, bytes)) => (Some(status), bytes, false, End::Fin, format!("{status}, cut")),
        Err(error) if is_reset(&error) => {
            (None, 0, false, End::Reset, "an error, no response; reset".to_owned())
        }
        Err(error) if error.is_timeout() => (None, 0, false, End::TimedOut, "no response in time".to_owned()),
        Err(error) => (None, 0, false, End::Failed(error.to_string()), "an error, no response".to_owned()),
    };
    // reqwest does not tell how the connection ended.
    Attempt {
        passed: complete,
        fault: (!complete).then(|| "its users get an error instead of the response".to_owned()),
        saw,
        status,
        body_bytes,
        complete,
        end,
        reset_later: false,
        announced: None,
        latency: complete.then(|| begun.elapsed()),
        release: None,
    }
}

/// Whether a reset is among the causes of an error.
fn is_reset(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}
