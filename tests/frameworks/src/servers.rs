//! One server for each framework, bare and hooked.

pub mod actix_web;
pub mod jsonrpsee;
pub mod ntex;
pub mod pingora;
pub mod poem;
pub mod rocket;
pub mod salvo;
pub mod warp;
