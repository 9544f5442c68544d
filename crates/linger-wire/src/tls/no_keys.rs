//! Stands for `keys` without the feature `secrets`: then no session has keys.

use super::current::Opened;
use super::hello::ServerHello;
use crate::secrets::Secrets;
use crate::transcript::Side;

#[derive(Debug)]
pub(super) enum Keys {}

impl Keys {
    pub(super) fn find(_: &Secrets, _: &[u8; 32]) -> Option<Self> {
        None
    }

    pub(super) fn choose(&mut self, _: &ServerHello) {
        match *self {}
    }

    pub(super) fn begin(&mut self, _: Side, _: u8, _: u16, _: bool) -> bool {
        match *self {}
    }

    pub(super) fn keep(&mut self, _: Side, _: &[u8]) {
        match *self {}
    }

    pub(super) fn open(&mut self, _: Side, _: u8) -> Option<Opened> {
        match *self {}
    }
}
