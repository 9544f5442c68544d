//! Waits for conditions that send no event.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// Longer than any bound of a close.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls a condition until it holds. `what` names it in the panic's message.
///
/// # Panics
///
/// If it does not hold within a minute.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        let mut looks = interval(Duration::from_millis(2));
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("within a minute: {what}"));
}
