//! What a client sees of a connection's end: a failure must not look clean, and a clean end must not look
//! like a failure. Every case over plain TCP and over TLS, through `LingerLayer::classify(HyperErrors)`.

mod clean;
mod dropped;
mod failures;
mod scene;
mod upgraded;
