//! Each hook × each way in which a response can end: what the client sees, bare and with the layer.

mod aborted;
mod happening;
mod kept;
mod server;
mod table;
