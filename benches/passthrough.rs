//! What do a read and a write cost through the wrapper, compared with the bare stream?

use divan::Bencher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tower_linger::LingerLayer;

fn main() {
    divan::main();
}

/// Bytes that an exchange moves in each direction.
const EXCHANGE: usize = 1 << 10;

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    let (ours, theirs) = duplex(EXCHANGE);
    exchange(bencher, ours, theirs);
}

#[divan::bench]
fn through_the_wrapper(bencher: Bencher<'_, '_>) {
    let (ours, theirs) = duplex(EXCHANGE);
    let runtime = runtime();
    let _entered = runtime.enter();
    exchange(bencher, LingerLayer::default().wrap(ours), theirs);
}

/// Writes to the peer and reads its answer. It happens in memory, so that no system call hides the
/// difference.
fn exchange(
    bencher: Bencher<'_, '_>,
    mut ours: impl AsyncRead + AsyncWrite + Unpin,
    mut theirs: impl AsyncRead + AsyncWrite + Unpin,
) {
    let runtime = runtime();
    let (out, mut back) = ([7; EXCHANGE], [0; EXCHANGE]);
    bencher.bench_local(|| {
        runtime.block_on(async {
            ours.write_all(&out).await.expect("in memory");
            theirs.read_exact(&mut back).await.expect("in memory");
            theirs.write_all(&out).await.expect("in memory");
            ours.read_exact(&mut back).await.expect("in memory");
        });
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
