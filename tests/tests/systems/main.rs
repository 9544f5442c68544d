//! What this build does on this system, seen by a client, by a second descriptor or on the wire, and compared
//! with its column of the table in docs/stacks.md.
//!
//! After an intended change: `UPDATE=1 cargo test --workspace --all-features --test systems`.

#[cfg(target_os = "linux")]
mod everywhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod tcp;

#[cfg(target_os = "linux")]
async fn this_build_does_what_its_column_says() {
    use tower_linger_tests::systems::{self, Cell, Property};

    let system = if cfg!(tower_linger_portable) {
        "portable"
    } else if cfg!(target_env = "musl") {
        "musl"
    } else if cfg!(target_pointer_width = "32") {
        "i686"
    } else {
        "Linux"
    };
    let mut seen = systems::Column::new();
    for property in Property::ALL {
        let does = match property {
            Property::Builds => true,
            Property::Delivery => everywhere::delivers().await,
            Property::HalfClose => everywhere::half_closes().await,
            Property::Abort => everywhere::aborts().await,
            Property::DrainBounds => everywhere::bounds_the_drain().await,
            Property::Summary => everywhere::counts().await,
            Property::CloseNotify => everywhere::says_close_notify().await,
            Property::Signals => everywhere::hears_signals().await,
            Property::DescriptorLimit => everywhere::follows_descriptors().await,
            Property::WithoutCopying => linux::discards_more_than_a_buffer().await,
            Property::Unacked => linux::knows_what_is_unacked().await,
            Property::OneSegment => linux::joins_alert_and_fin().await,
            Property::LowWater => linux::gathers().await,
            Property::EarlyRelease => linux::releases_early().await,
            Property::OrphanBound => linux::bounds_orphans().await,
            Property::QuietAccept => linux::refuses_quietly().await,
        };
        seen.insert(property, Cell::seen(does));
    }
    systems::compare(system, &seen);
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn this_build_does_what_its_column_says;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
