//! What a client sees of each way in which a response can end, for each hook, bare and with the layer.

mod aborted;
mod frameworks;
mod happening;
mod kept;
mod server;
mod table;
