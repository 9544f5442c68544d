//! The layer: how connections are to be closed, and what is told about it.

use std::sync::Arc;

use linger_proto::{ClosePolicy, CloseReport};
use tower_layer::Layer;

use crate::classify::AlwaysGraceful;
use crate::close::settings::Shared;
use crate::serve::hand_back::Home;
use crate::serve::io::LingerIo;
use crate::service::Linger;
use crate::tracker::tracker::Tracker;
use crate::transport::Transport;

/// Turns a service of [`LingerIo<T>`] into a service of accepted connections `T`, and closes each of them properly
/// when its service is done with it.
///
/// A limit of concurrency belongs inside of it, around the service: its permit is then free while the connection lingers.
///
/// It is also the one place where the closing is configured: the adapters for loops that a framework owns take a
/// clone of it. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use tower_linger::{ClosePolicy, LingerLayer};
///
/// let by_default = LingerLayer::default();
/// let customised = LingerLayer::new(ClosePolicy::builder().drain_limit(Duration::from_secs(10)).build()?)
///     .on_close(|report| println!("{report}"));
/// # Ok::<(), tower_linger::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LingerLayer {
    shared: Arc<Shared>,
}

impl LingerLayer {
    /// Closes by this policy, with a [`Tracker`] of its own.
    #[must_use]
    pub fn new(policy: ClosePolicy) -> Self {
        Self { shared: Arc::new(Shared::new(policy)) }
    }

    /// Counts its closes in this tracker, which several layers can share.
    #[must_use]
    pub fn with_tracker(mut self, tracker: Tracker) -> Self {
        Arc::make_mut(&mut self.shared).tracker = tracker;
        self
    }

    /// Calls `observer` with the report of each close, on the task that closed, after the socket was released.
    /// It must not block.
    #[must_use]
    pub fn on_close(mut self, observer: impl Fn(&CloseReport) + Send + Sync + 'static) -> Self {
        let shared = Arc::make_mut(&mut self.shared);
        shared.on_close = Some(Arc::new(observer));
        shared.is_heard = true;
        self
    }

    /// As a layer, does not wait for connections that outlive their service, as an upgraded one does: its future completes
    /// with the service, and the connection is closed by a task of its own when it is dropped. By default the future waits.
    #[must_use]
    pub fn leave_upgrades(mut self) -> Self {
        Arc::make_mut(&mut self.shared).leaves_upgrades = true;
        self
    }

    /// Wraps a connection for a loop that has no service to put the layer around. Dropping what this returns hands
    /// the connection to a task of its own that closes it; await the [`tracker`](Self::tracker) before `main` ends.
    pub fn wrap<T: Transport>(&self, io: T) -> LingerIo<T> {
        LingerIo::new(io, Home::tracker(self.shared.clone()))
    }

    /// As a layer, asks `classifier` how each connection is to end, by what its service returned.
    ///
    /// ```
    /// use tower_linger::{Ending, LingerLayer};
    ///
    /// # fn layer() -> impl Clone {
    /// LingerLayer::default().classify(|result: &Result<(), std::io::Error>| match result {
    ///     Ok(()) => Ending::Graceful,
    ///     Err(_) => Ending::Abort,
    /// })
    /// # }
    /// ```
    pub fn classify<C>(self, classifier: C) -> ClassifyLayer<C> {
        ClassifyLayer { linger: self, classifier }
    }

    /// The closes that are still running.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        &self.shared.tracker
    }

    /// The bounds of each close.
    #[must_use]
    pub fn policy(&self) -> &ClosePolicy {
        &self.shared.policy
    }

    #[cfg(feature = "rustls")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl<S> Layer<S> for LingerLayer {
    type Service = Linger<S>;

    fn layer(&self, inner: S) -> Linger<S> {
        Linger::new(inner, self.shared.clone(), AlwaysGraceful)
    }
}

/// A [`LingerLayer`] that aborts the connections that its classifier tells it to; made by [`LingerLayer::classify`].
#[derive(Debug, Clone)]
pub struct ClassifyLayer<C> {
    linger: LingerLayer,
    classifier: C,
}

impl<S, C: Clone> Layer<S> for ClassifyLayer<C> {
    type Service = Linger<S, C>;

    fn layer(&self, inner: S) -> Linger<S, C> {
        Linger::new(inner, self.linger.shared.clone(), self.classifier.clone())
    }
}
