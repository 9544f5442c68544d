//! STUB, replaced by the http branch.
#![allow(warnings)]
use std::sync::Arc;
#[derive(Default)]
pub(crate) struct Exchanges;
impl Exchanges {
    pub(crate) fn is_known(&self) -> bool {
        false
    }
    pub(crate) fn is_busy(&self) -> bool {
        false
    }
    pub(crate) fn is_upgraded(&self) -> bool {
        false
    }
    pub(crate) fn framing(&self) -> super::observed::Framing {
        super::observed::Framing::Unknown
    }
}
pub(crate) struct Registration;
pub(crate) fn register(_: &Arc<Exchanges>) -> Registration {
    Registration
}
