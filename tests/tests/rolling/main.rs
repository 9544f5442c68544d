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
mod replicas;
#[cfg(target_os = "linux")]
mod rounds;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod tally;

use replicas::Kind;
async fn nginx_bare() { let (t, l) = rounds::behind_nginx(Kind::Bare, false).await; println!("nginx bare {t}\n{}", l.join("\n")); }
async fn nginx_layered() { let (t, l) = rounds::behind_nginx(Kind::Layered, false).await; println!("nginx layered {t}\n{}", l.join("\n")); }
async fn nginx_tls_layered() { let (t, l) = rounds::behind_nginx(Kind::Layered, true).await; println!("nginx tls layered {t}\n{}", l.join("\n")); }
async fn haproxy_bare() { let (t, l) = rounds::behind_haproxy(Kind::Bare, false).await; println!("haproxy bare {t}\n{}", l.join("\n")); }
async fn haproxy_layered() { let (t, l) = rounds::behind_haproxy(Kind::Layered, false).await; println!("haproxy layered {t}\n{}", l.join("\n")); }
async fn haproxy_tls_layered() { let (t, l) = rounds::behind_haproxy(Kind::Layered, true).await; println!("haproxy tls layered {t}\n{}", l.join("\n")); }
async fn direct_bare() { let t = rounds::direct(Kind::Bare, false).await; println!("direct bare {t}"); }
async fn direct_layered() { let t = rounds::direct(Kind::Layered, false).await; println!("direct layered {t}"); }
async fn direct_tls_layered() { let t = rounds::direct(Kind::Layered, true).await; println!("direct tls layered {t}"); }

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn nginx_bare;
    async fn nginx_layered;
    async fn nginx_tls_layered;
    async fn haproxy_bare;
    async fn haproxy_layered;
    async fn haproxy_tls_layered;
    async fn direct_bare;
    async fn direct_layered;
    async fn direct_tls_layered;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
