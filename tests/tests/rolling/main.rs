//! Rolling restarts under load, behind a real HAProxy and a real nginx.
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod haproxy;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod nginx;
#[cfg(target_os = "linux")]
mod one_signal;
#[cfg(target_os = "linux")]
mod replicas;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod tally;

use replicas::Kind;
async fn nginx_bare() { let (t, l) = rounds::behind_nginx(Kind::Bare, false).await; println!("nginx_bare {t}\n{}", l.join("\n")); }
async fn nginx_layered() { let (t, l) = rounds::behind_nginx(Kind::Layered, false).await; println!("nginx_layered {t}\n{}", l.join("\n")); }
async fn nginx_serve() { let (t, l) = rounds::behind_nginx(Kind::Serve, false).await; println!("nginx_serve {t}\n{}", l.join("\n")); }
async fn nginx_tls_bare() { let (t, l) = rounds::behind_nginx(Kind::Bare, true).await; println!("nginx_tls_bare {t}\n{}", l.join("\n")); }
async fn nginx_tls_layered() { let (t, l) = rounds::behind_nginx(Kind::Layered, true).await; println!("nginx_tls_layered {t}\n{}", l.join("\n")); }
async fn nginx_tls_serve() { let (t, l) = rounds::behind_nginx(Kind::Serve, true).await; println!("nginx_tls_serve {t}\n{}", l.join("\n")); }
async fn haproxy_bare() { let (t, l) = rounds::behind_haproxy(Kind::Bare, false).await; println!("haproxy_bare {t}\n{}", l.join("\n")); }
async fn haproxy_layered() { let (t, l) = rounds::behind_haproxy(Kind::Layered, false).await; println!("haproxy_layered {t}\n{}", l.join("\n")); }
async fn haproxy_serve() { let (t, l) = rounds::behind_haproxy(Kind::Serve, false).await; println!("haproxy_serve {t}\n{}", l.join("\n")); }
async fn haproxy_tls_bare() { let (t, l) = rounds::behind_haproxy(Kind::Bare, true).await; println!("haproxy_tls_bare {t}\n{}", l.join("\n")); }
async fn haproxy_tls_layered() { let (t, l) = rounds::behind_haproxy(Kind::Layered, true).await; println!("haproxy_tls_layered {t}\n{}", l.join("\n")); }
async fn haproxy_tls_serve() { let (t, l) = rounds::behind_haproxy(Kind::Serve, true).await; println!("haproxy_tls_serve {t}\n{}", l.join("\n")); }
async fn direct_bare() { let t = rounds::direct(Kind::Bare, false).await; println!("direct_bare {t}"); }
async fn direct_layered() { let t = rounds::direct(Kind::Layered, false).await; println!("direct_layered {t}"); }
async fn direct_serve() { let t = rounds::direct(Kind::Serve, false).await; println!("direct_serve {t}"); }
async fn direct_tls_bare() { let t = rounds::direct(Kind::Bare, true).await; println!("direct_tls_bare {t}"); }
async fn direct_tls_layered() { let t = rounds::direct(Kind::Layered, true).await; println!("direct_tls_layered {t}"); }
async fn direct_tls_serve() { let t = rounds::direct(Kind::Serve, true).await; println!("direct_tls_serve {t}"); }

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn one_signal::a_restart_costs_no_post_if_there_is_a_notice;
    async fn nginx_bare;
    async fn nginx_layered;
    async fn nginx_serve;
    async fn nginx_tls_bare;
    async fn nginx_tls_layered;
    async fn nginx_tls_serve;
    async fn haproxy_bare;
    async fn haproxy_layered;
    async fn haproxy_serve;
    async fn haproxy_tls_bare;
    async fn haproxy_tls_layered;
    async fn haproxy_tls_serve;
    async fn direct_bare;
    async fn direct_layered;
    async fn direct_serve;
    async fn direct_tls_bare;
    async fn direct_tls_layered;
    async fn direct_tls_serve;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
