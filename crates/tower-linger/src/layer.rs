//! The layer: how connections are closed, and who observes it.

use std::borrow::Cow;
use std::sync::Arc;

use linger_proto::{ClosePolicy, CloseReport};

use crate::close::driver::Close;
use crate::close::settings::Settings;
use crate::serve::io::LingerIo;
use crate::serve::served::Served;
use crate::tracker::tracker::Tracker;
use crate::transport::Transport;

/// Turns a service of [`LingerIo<T>`] into a service of accepted connections `T`, and closes each of them
/// properly when its service is done with it.
///
/// Put concurrency limits inside this layer, around the service, so that lingering connections hold no
/// permit.
///
/// It is also the one place where the closing is configured: the adapters for loops that a framework owns
/// take a clone of it. Clones share everything, the tracker included. A method that configures changes only
/// the layer that it returns, and no clone that was made before. So configure first, then clone, and then ask
/// for the [`tracker`](Self::tracker). The policy is the exception: [`set_policy`](Self::set_policy) swaps it
/// in all clones, at any time.
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
///
/// In a `ServiceBuilder`:
///
/// ```
/// # use tokio::net::TcpStream;
/// use tower::ServiceBuilder;
/// use tower_linger::{LingerIo, LingerLayer};
///
/// async fn serve(io: LingerIo<TcpStream>) -> std::io::Result<()> {
/// #   drop(io);
///     Ok(())
/// }
///
/// let connections = ServiceBuilder::new().layer(LingerLayer::default()).service_fn(serve);
/// # fn serves<S: tower::Service<TcpStream>>(_: S) {}
/// # serves(connections);
/// ```
#[derive(Debug, Clone, Default)]
pub struct LingerLayer {
    settings: Arc<Settings>,
}

impl LingerLayer {
    /// Closes connections by this policy, and counts them in a new [`Tracker`].
    #[must_use]
    pub fn new(policy: ClosePolicy) -> Self {
        Self { settings: Arc::new(Settings::new(policy)) }
    }

    /// Names the listener whose connections these are, `public` or `admin` for example. Metrics and spans
    /// have the name as `listener`; without one, it is `default`. A program should have few names, because
    /// each has time series of its own, for as long as the process lives. Clones made before keep the old
    /// name.
    #[must_use]
    pub fn named(mut self, listener: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.settings).name(listener.into());
        self
    }

    /// Counts its connections in this tracker, which several layers can share. Clones made before, and a
    /// [`tracker`](Self::tracker) that was asked for before, keep the old one.
    #[must_use]
    pub fn with_tracker(mut self, tracker: Tracker) -> Self {
        Arc::make_mut(&mut self.settings).tracker = tracker;
        self
    }

    /// Calls `observer` with the report of each close, on the task that closed, after the socket was
    /// released. It must not block. A panic in it is caught: the panic hook prints it, and nothing else
    /// changes. Clones of this layer that were made before are not observed.
    #[must_use]
    pub fn on_close(mut self, observer: impl Fn(&CloseReport) + Send + Sync + 'static) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.on_close = Some(Arc::new(observer));
        settings.wants_report = true;
        self
    }

    /// As a layer, does not wait for connections that outlive their service, as upgraded ones do: the future
    /// completes with the service, and a task of its own closes the connection when it is dropped. By default
    /// the future waits.
    #[must_use]
    pub fn detach_upgrades(mut self) -> Self {
        Arc::make_mut(&mut self.settings).detaches_upgrades = true;
        self
    }

    /// Wraps a connection for a loop that has no service to put the layer around. Dropping what this returns
    /// hands the connection to a task of its own that closes it; await the [`tracker`](Self::tracker) before
    /// `main` ends.
    pub fn wrap<T: Transport>(&self, io: T) -> LingerIo<T> {
        LingerIo::new(io, Served::new(self.settings.clone()))
    }

    /// Closes a connection that was served without this layer, as it closes its own: by its policy, reported
    /// to its observer, and counted by its tracker, so that a shutdown waits for it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the close: it goes on in a task of its own, for which the tracker
    /// waits.
    pub fn close<T: Transport>(&self, io: T) -> Close<T> {
        let mut settings = self.settings.clone();
        if !settings.wants_report {
            // The caller reads the report, whether or not there is an observer.
            Arc::make_mut(&mut settings).wants_report = true;
        }
        Close::of_unserved(io, settings)
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

    /// Counts the connections that are served and those that are closing.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        &self.settings.tracker
    }

    /// The bounds of each close that begins now.
    #[must_use]
    pub fn policy(&self) -> ClosePolicy {
        *self.settings.policy.get()
    }

    /// Swaps the policy while the server runs: for this layer, for its clones, and for the adapters and
    /// services that were made of them.
    ///
    /// Closes that begin afterwards are done by the new policy, also those of connections that were accepted
    /// before. A close that is under way keeps the policy that it began with. `write_idle_timeout`, the one
    /// setting for connections that are served, holds for those that are accepted afterwards.
    ///
    /// What was given a policy of its own keeps it: by [`CloseHandle::set_policy`](crate::CloseHandle), by
    /// [`Ending::GracefulBy`](crate::Ending::GracefulBy), or by `TlsAcceptLayer::with_failure_policy`.
    ///
    /// ```
    /// use tower_linger::{ClosePolicy, LingerLayer};
    ///
    /// let linger = LingerLayer::default();
    /// let served_by = linger.clone();
    /// linger.set_policy(ClosePolicy::builder().drain_limit_bytes(64 << 20).build()?);
    /// assert_eq!(served_by.policy().drain_limit_bytes(), 64 << 20);
    /// # Ok::<(), tower_linger::ConfigError>(())
    /// ```
    pub fn set_policy(&self, policy: ClosePolicy) {
        self.settings.policy.set(policy);
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    pub(crate) fn into_settings(self) -> Arc<Settings> {
        self.settings
    }
}

/// A [`LingerLayer`] that aborts the connections that its classifier tells it to; made by
/// [`LingerLayer::classify`].
///
/// ```
/// # use tokio::net::TcpStream;
/// use tower::ServiceBuilder;
/// use tower_linger::{AlwaysGraceful, LingerIo, LingerLayer};
///
/// # async fn serve(io: LingerIo<TcpStream>) -> std::io::Result<()> { Ok(drop(io)) }
/// let linger = LingerLayer::default().classify(AlwaysGraceful);
/// let connections = ServiceBuilder::new().layer(linger).service_fn(serve);
/// # fn serves<S: tower::Service<TcpStream>>(_: S) {}
/// # serves(connections);
/// ```
#[derive(Debug, Clone)]
pub struct ClassifyLayer<C> {
    pub(crate) linger: LingerLayer,
    pub(crate) classifier: C,
}
