//! The guides of tower-linger's documentation, only so that each block of code in them is compiled: they need
//! crates that tower-linger does not.

macro_rules! pages {
    ($($page:ident)*) => {$(
        #[doc = include_str!(concat!("../../crates/tower-linger/src/guide/", stringify!($page), ".md"))]
        mod $page {}
    )*};
}

pages! {
    failure serve axum axum_server hyper poem salvo tonic other_protocols tls_libraries own_transport
    coming_from defaults idle_timeouts rolling_restarts windows faq settings outcomes
}
