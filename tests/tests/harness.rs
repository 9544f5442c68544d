//! Tests the tools of the wire tests: namespaces, counters and packet transcripts.

#[cfg(target_os = "linux")]
mod harness {
    use std::io::{self, Read as _, Write as _};
    use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::sync::Arc;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
    use tokio_rustls::{TlsAcceptor, TlsConnector};
    use tower_linger_tests::counters::Counters;
    use tower_linger_tests::wire::{Capture, Part, Side};

    const REQUEST: [u8; 120] = [b'q'; 120];
    const RESPONSE: [u8; 85] = [b'a'; 85];

    /// A fixed port: each test has a network namespace of its own.
    const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

    /// The two ends of a connection, client first.
    fn connect(listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?.0))
    }

    /// The client sends, the server answers and half-closes, the client closes, and the server reads its FIN.
    fn exchange(listener: &TcpListener) -> io::Result<()> {
        let (mut client, mut server) = connect(listener)?;
        client.write_all(&REQUEST)?;
        server.read_exact(&mut [0; REQUEST.len()])?;
        server.write_all(&RESPONSE)?;
        server.shutdown(Shutdown::Write)?;
        assert_eq!(client.read_to_end(&mut Vec::new())?, RESPONSE.len());
        drop(client);
        assert_eq!(server.read(&mut [0; 1])?, 0);
        Ok(())
    }

    /// The server closes with the request unread, which resets the connection.
    fn close_unread(listener: &TcpListener) -> io::Result<()> {
        let (mut client, server) = connect(listener)?;
        client.write_all(&REQUEST)?;
        assert_eq!(server.peek(&mut [0; REQUEST.len()])?, REQUEST.len());
        drop(server);
        let error = client.read(&mut [0; 1]).expect_err("the connection was reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        Ok(())
    }

    pub(super) fn clean_close_is_told_exactly() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let before = Counters::read();
        let capture = Capture::start(SERVER.port()).expect("captures");
        exchange(&listener).expect("exchanges");
        let transcript = capture.finish().expect("captures");
        assert_eq!(
            transcript.lines(),
            [
                "client: SYN",
                "server: SYN-ACK",
                "client: data 120",
                "server: data 85",
                "server: FIN",
                "client: FIN"
            ]
        );
        assert!(transcript.position(Side::Server, Part::Fin) < transcript.position(Side::Client, Part::Fin));
        assert_eq!(transcript.clone().close_part().events().len(), 4);
        assert!(transcript.with_acks().count(Side::Server, Part::Ack) > 0);
        let changed = Counters::read().since(&before);
        assert_eq!(changed.out_rsts(), 0, "{changed}");
        assert_eq!((changed.get("TcpActiveOpens"), changed.get("TcpPassiveOpens")), (1, 1), "{changed}");
    }

    pub(super) fn ipv6_is_captured() {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, SERVER.port()));
        let listener = TcpListener::bind(address).expect("the port is free");
        let capture = Capture::start(address.port()).expect("captures");
        exchange(&listener).expect("exchanges");
        let lines = capture.finish().expect("captures").lines();
        assert_eq!(lines[2..], ["client: data 120", "server: data 85", "server: FIN", "client: FIN"]);
    }

    pub(super) fn data_and_fin_in_one_segment_share_a_line() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let capture = Capture::start(SERVER.port()).expect("captures");
        let (mut client, mut server) = connect(&listener).expect("connects");
        SockRef::from(&server).set_tcp_cork(true).expect("corks");
        server.write_all(&RESPONSE).expect("writes");
        server.shutdown(Shutdown::Write).expect("shuts down");
        client.read_to_end(&mut Vec::new()).expect("reads");
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).expect("reads"), 0);
        let lines = capture.finish().expect("captures").close_part().lines();
        assert_eq!(lines, ["server: data 85 + FIN", "client: FIN"]);
    }

    pub(super) fn unread_data_at_close_is_seen_as_reset() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let before = Counters::read();
        let capture = Capture::start(SERVER.port()).expect("captures");
        close_unread(&listener).expect("closes");
        let transcript = capture.finish().expect("captures");
        assert_eq!(transcript.lines(), ["client: SYN", "server: SYN-ACK", "client: data 120", "server: RST"]);
        assert_eq!((transcript.resets(Side::Server), transcript.resets(Side::Client)), (1, 0));
        let changed = Counters::read().since(&before);
        assert_eq!(
            (changed.out_rsts(), changed.aborts_on_close(), changed.aborts_on_data()),
            (1, 1, 0),
            "{changed}"
        );
    }

    pub(super) fn connections_are_told_apart() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let capture = Capture::start(SERVER.port()).expect("captures");
        exchange(&listener).expect("exchanges");
        close_unread(&listener).expect("closes");
        let transcript = capture.finish().expect("captures");
        assert_eq!(transcript.connections(), 2);
        assert_eq!(transcript.lines()[5..7], ["[0] client: FIN", "[1] client: SYN"]);
        assert_eq!(transcript.connection(1).close_part().lines(), ["client: data 120", "server: RST"]);
    }

    pub(super) fn waits_for_an_event() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let capture = Capture::start(SERVER.port()).expect("captures");
        let server = std::thread::spawn(move || exchange(&listener));
        assert!(capture.wait_until(|transcript| transcript.count(Side::Client, Part::Fin) == 1));
        server.join().expect("does not panic").expect("exchanges");
    }

    /// Two tests have this body and run at the same time. Both use port 8080, and neither sees the other's
    /// resets.
    pub(super) fn counters_are_our_own() {
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        assert_eq!(Counters::read().out_rsts(), 0, "a new namespace begins at zero");
        for resets in 1..=20 {
            close_unread(&listener).expect("closes");
            assert_eq!(Counters::read().out_rsts(), resets);
        }
    }

    pub(super) fn counters_are_our_own_beside_another() {
        counters_are_our_own();
    }

    /// Captures the beginning of each packet only, because the queue is short for anyone but root.
    pub(super) fn mass_transfer_is_not_lost() {
        const UPLOAD: usize = 32 << 20;
        let listener = TcpListener::bind(SERVER).expect("the port is free");
        let capture = Capture::start_cut(SERVER.port(), 2000).expect("captures");
        let (mut client, mut server) = connect(&listener).expect("connects");
        let upload = std::thread::spawn(move || client.write_all(&vec![0; UPLOAD]));
        assert_eq!(server.read_to_end(&mut Vec::new()).expect("reads"), UPLOAD);
        upload.join().expect("does not panic").expect("writes");
        drop(server);
        let lines = capture.finish().expect("captures").close_part().lines();
        assert!(
            lines == [format!("client: data {UPLOAD} + FIN"), "server: FIN".to_owned()]
                || lines
                    == [format!("client: data {UPLOAD}"), "client: FIN".to_owned(), "server: FIN".to_owned()],
            "{lines:#?}"
        );
    }

    pub(super) async fn tls12_records_are_recognised() {
        let lines = tls_exchange(&TLS12, false).await.expect("exchanges");
        assert_eq!(
            lines,
            [
                "client: SYN",
                "server: SYN-ACK",
                "client: handshake",
                "server: handshake",
                "client: handshake",
                "server: handshake",
                "client: data 149", // 5 header, 8 nonce, 16 tag
                "server: data 114",
                "server: alert",
                "server: FIN",
                "client: alert",
                "client: FIN"
            ]
        );
    }

    pub(super) async fn tls13_records_are_recognised() {
        let lines = tls_exchange(&TLS13, false).await.expect("exchanges");
        assert_eq!(
            lines,
            [
                "client: SYN",
                "server: SYN-ACK",
                "client: handshake",
                "server: handshake",
                "client: handshake",
                "client: data 142", // 5 header, 1 type, 16 tag
                "server: data 107",
                "server: alert",
                "server: FIN",
                "client: alert",
                "client: FIN"
            ]
        );
    }

    pub(super) async fn alert_and_fin_in_one_segment_share_a_line() {
        for version in [&TLS12, &TLS13] {
            let lines = tls_exchange(version, true).await.expect("exchanges");
            assert_eq!(lines[lines.len() - 3..], ["server: alert + FIN", "client: alert", "client: FIN"]);
        }
    }

    /// The server answers, sends `close_notify` and FIN (in one segment if `corked`), and drains below TLS.
    async fn tls_exchange(
        version: &'static SupportedProtocolVersion,
        corked: bool,
    ) -> io::Result<Vec<String>> {
        let (acceptor, connector) = tls(version);
        let listener = tokio::net::TcpListener::bind(SERVER).await?;
        let capture = Capture::start(SERVER.port())?;
        let client = tokio::spawn(async move {
            let stream = tokio::net::TcpStream::connect(SERVER).await?;
            let name = ServerName::try_from("localhost").expect("is a name");
            stream.set_nodelay(true)?;
            let mut client = connector.connect(name, stream).await?;
            client.write_all(&REQUEST).await?;
            let received = client.read_to_end(&mut Vec::new()).await?;
            // TLS ends at close_notify. Wait for the FIN below it, which fixes the order of the lines.
            assert_eq!(client.get_mut().0.read(&mut [0; 1]).await?, 0);
            client.shutdown().await?;
            Ok::<_, io::Error>(received)
        });

        let mut server = acceptor.accept(listener.accept().await?.0).await?;
        server.read_exact(&mut [0; REQUEST.len()]).await?;
        server.write_all(&RESPONSE).await?;
        server.flush().await?;
        // With Nagle's algorithm, the peer's acknowledgements would decide whether close_notify waits for
        // the FIN.
        server.get_ref().0.set_nodelay(!corked)?;
        SockRef::from(server.get_ref().0).set_tcp_cork(corked)?;
        server.shutdown().await?;
        let mut stream = server.into_inner().0;
        stream.read_to_end(&mut Vec::new()).await?;
        assert_eq!(client.await.expect("does not panic")?, RESPONSE.len());
        Ok(capture.finish()?.lines())
    }

    fn tls(version: &'static SupportedProtocolVersion) -> (TlsAcceptor, TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("is a key");
        let certificate = made.cert.der().clone();
        let mut server = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("is a usable certificate");
        // A ticket would be sent at about the same time as the request, and the order of the lines would
        // vary.
        server.send_tls13_tickets = 0;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("is a usable root");
        let client = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server).into(), Arc::new(client).into())
    }
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    fn harness::clean_close_is_told_exactly;
    fn harness::ipv6_is_captured;
    fn harness::data_and_fin_in_one_segment_share_a_line;
    fn harness::unread_data_at_close_is_seen_as_reset;
    fn harness::connections_are_told_apart;
    fn harness::waits_for_an_event;
    fn harness::counters_are_our_own;
    fn harness::counters_are_our_own_beside_another;
    fn harness::mass_transfer_is_not_lost;
    async fn harness::tls12_records_are_recognised;
    async fn harness::tls13_records_are_recognised;
    async fn harness::alert_and_fin_in_one_segment_share_a_line;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
