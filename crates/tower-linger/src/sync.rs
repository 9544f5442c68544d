//! Locks, atomics and runtimes, as the standard library and tokio have them.
//!
//! `make interleavings` compiles the unit tests of this crate with models in their place, which give a
//! scheduler the choice of what runs next at each of their operations. No other build has the models.

#[cfg(all(test, tower_linger_shuttle))]
pub(crate) mod model;

#[cfg(not(all(test, tower_linger_shuttle)))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, RwLock, atomic},
    thread,
};
#[cfg(not(all(test, tower_linger_shuttle)))]
pub(crate) use tokio::{
    runtime,
    sync::{Notify, watch},
    time::Sleep,
};

#[cfg(all(test, tower_linger_shuttle))]
pub(crate) use self::model::{clock::Sleep, runtime, tokio_sync::Notify, watch};
#[cfg(all(test, tower_linger_shuttle))]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, RwLock, atomic},
    thread,
};
