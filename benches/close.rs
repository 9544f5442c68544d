//! What does a lingering close cost, compared with dropping the socket, when the client closes as soon as it
//! can? Each round opens a connection on loopback, answers one request and ends the connection.

use divan::Bencher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_linger::{ClosePolicy, close};

fn main() {
    divan::main();
}

#[divan::bench]
fn dropped(bencher: Bencher<'_, '_>) {
    connections(bencher, async |server| drop(server));
}

#[divan::bench]
fn lingering(bencher: Bencher<'_, '_>) {
    connections(bencher, async |server| {
        let _report = close(server, &ClosePolicy::default()).await;
    });
}

fn connections(bencher: Bencher<'_, '_>, end: impl AsyncFn(TcpStream)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("bound");
    bencher.bench_local(|| {
        runtime.block_on(async {
            let client = async {
                let mut client = TcpStream::connect(address).await?;
                client.write_all(b"request").await?;
                client.read_to_end(&mut Vec::new()).await
            };
            let server = async {
                let (mut server, _) = listener.accept().await?;
                server.read_exact(&mut [0; 7]).await?;
                server.write_all(b"response").await?;
                end(server).await;
                std::io::Result::Ok(())
            };
            let (answered, ended) = tokio::join!(client, server);
            ended.expect("loopback");
            assert_eq!(answered.expect("loopback"), 8);
        });
    });
}
