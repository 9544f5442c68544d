//! Text from servers and from the command line is escaped when it is printed.

mod probe;

use probe::{assert_refused, probe, saying, text};

/// Neither a server nor a pasted argument can send control characters to a terminal or a browser.
#[tokio::test(flavor = "multi_thread")]
async fn no_control_character_of_a_server_is_printed() {
    let response = async |head: &[u8]| {
        saying([head, b"\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"].concat()).await
    };
    let redirect =
        response(b"HTTP/1.1 302 Found\r\nLocation: http://x/\x1b[31m\x1b]0;pwn\x07<script>alert(1)</script>");
    let ansi = response(b"HTTP/1.1 200 \x1b[31mPWNED\x1b]0;title\x07\x1b[2J<script>alert(1)</script>");
    let header = response(b"HTTP/1.1 200 OK\r\nServer: <script>alert(1)</script>\r\nLocation: \x1b[31mx");
    let plain = response(b"HTTP/1.1 200 OK");
    let not_utf8 = response(b"HTTP/1.1 302 \xff\xfe\r\nLocation: \xff\xfe");
    let c1 = "HTTP/1.1 302 Found\r\nLocation: /\u{9b}31m\u{202e}gpj.exe\u{2066}\u{200b}\u{2028}";
    let c1 = response(c1.as_bytes());
    let long = format!("HTTP/1.1 302 Found\r\nLocation: /{}", "a".repeat(5000));
    let long = response(long.as_bytes());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("page.html");
    let path = path.to_str().expect("UTF-8");
    let mut judged = 0;
    for server in
        [redirect.await, ansi.await, header.await, plain.await, not_utf8.await, c1.await, long.await]
    {
        for format in ["text", "json", "junit"] {
            _ = std::fs::remove_file(path);
            let name = format!("bidi\u{202e}name\u{1b}[2J={server}");
            let row = ["--only", "close.requested", "-n", "1", "--timeout", "2", "--report", path];
            let output = probe(&[&["check", &name, "--format", format][..], &row].concat()).await;
            assert!(text(&output.stderr).lines().all(|line| line.chars().count() < 400), "{output:?}");
            let page = std::fs::read_to_string(path).expect("the page is there");
            let printed = [text(&output.stdout), text(&output.stderr), &page].map(hidden);
            assert_eq!(printed, [None; 3], "{output:?} {page}");
            judged += usize::from(page.contains(r"bidi\u{202e}name\u{1b}[2J"));
        }
    }
    // At least the plain server is judged, in each format.
    assert!(judged >= 3, "{judged}");
    let c1 = "HTTP/1.1 302 Found\r\nLocation: /\u{9b}31m\u{202e}gpj.exe\r\n\r\n";
    let c1 = saying(c1).await;
    assert_refused(&["check", &c1], r"redirects to /\u{9b}31m\u{202e}gpj.exe:").await;
    for typed in [
        &["check", "http://\u{1b}[31m/"][..],
        &["check", "\u{9b}31m"],
        &["check", "http://127.0.0.1/", "--only", "\u{1b}[31m"],
        &["check", "http://127.0.0.1/", "--method", "\u{1b}[31m"],
        &["check", "http://127.0.0.1/", "--\u{1b}[31m"],
        &["check", "http://127.0.0.1/", "--ca", "/\u{1b}[31m\n", "--report", "/\u{202e}/\u{1b}"],
        &["\u{1b}[31m"],
    ] {
        let output = probe(typed).await;
        let printed = [text(&output.stdout), text(&output.stderr)].map(hidden);
        assert_eq!((output.status.code(), printed), (Some(2), [None; 2]), "{output:?}");
    }
}

/// The first invisible character in printed text, except line ends.
fn hidden(printed: &str) -> Option<char> {
    printed.chars().find(|c| {
        matches!(u32::from(*c), 0..=9 | 11..=31 | 0x7f..=0x9f | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e
            | 0x2060..=0x206f | 0xfeff)
    })
}
