//! Guides for the people who run servers. Each page takes a few minutes.
//!
//! | to … | read |
//! |---|---|
//! | recognise the failure, fix it, and check that it is fixed | [`failure`] |
//! | put the crate into a server | [`serve`], or, with a framework's own loop: [`axum`], [`axum_server`], [`hyper`], [`poem`], [`salvo`], [`tonic`] |
//! | end connections of lines, of frames, or of HTTP/1.0 | [`other_protocols`] |
//! | use OpenSSL or another TLS library | [`tls_libraries`] |
//! | close a stream that this crate does not know | [`own_transport`] |
//! | carry settings over from another server | [`coming_from`] nginx, Apache, HAProxy, Envoy and Go |
//! | choose bounds, count descriptors, know the cost | [`defaults`] |
//! | lose no request to an idle timeout | [`idle_timeouts`] and balancers |
//! | lose no request to a deployment | [`rolling_restarts`] |
//! | run a server on Windows | [`windows`] |
//! | find an error message | [`faq`] |
//! | look a setting up | [`settings`] |
//! | look up what a report says | [`outcomes`] |
//! | look a metric up | [`metrics`](crate::metrics) |

// The blocks of these pages need crates that this one does not. They are compiled by tower-linger-examples.

#[cfg_attr(not(doctest), doc = include_str!("guide/failure.md"))]
pub mod failure {}

#[cfg_attr(not(doctest), doc = include_str!("guide/serve.md"))]
pub mod serve {}

#[cfg_attr(not(doctest), doc = include_str!("guide/axum.md"))]
pub mod axum {}

#[cfg_attr(not(doctest), doc = include_str!("guide/axum_server.md"))]
pub mod axum_server {}

#[cfg_attr(not(doctest), doc = include_str!("guide/hyper.md"))]
pub mod hyper {}

#[cfg_attr(not(doctest), doc = include_str!("guide/poem.md"))]
pub mod poem {}

#[cfg_attr(not(doctest), doc = include_str!("guide/salvo.md"))]
pub mod salvo {}

#[cfg_attr(not(doctest), doc = include_str!("guide/tonic.md"))]
pub mod tonic {}

#[cfg_attr(not(doctest), doc = include_str!("guide/other_protocols.md"))]
pub mod other_protocols {}

#[cfg_attr(not(doctest), doc = include_str!("guide/tls_libraries.md"))]
pub mod tls_libraries {}

#[cfg_attr(not(doctest), doc = include_str!("guide/own_transport.md"))]
pub mod own_transport {}

#[cfg_attr(not(doctest), doc = include_str!("guide/coming_from.md"))]
pub mod coming_from {}

#[cfg_attr(not(doctest), doc = include_str!("guide/defaults.md"))]
pub mod defaults {}

#[cfg_attr(not(doctest), doc = include_str!("guide/idle_timeouts.md"))]
pub mod idle_timeouts {}

#[cfg_attr(not(doctest), doc = include_str!("guide/rolling_restarts.md"))]
pub mod rolling_restarts {}

#[cfg_attr(not(doctest), doc = include_str!("guide/windows.md"))]
pub mod windows {}

#[cfg_attr(not(doctest), doc = include_str!("guide/faq.md"))]
pub mod faq {}

#[cfg_attr(not(doctest), doc = include_str!("guide/settings.md"))]
pub mod settings {}

#[cfg_attr(not(doctest), doc = include_str!("guide/outcomes.md"))]
pub mod outcomes {}
