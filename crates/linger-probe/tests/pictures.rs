//! The pictures of README.md, `docs/ladder-bare.svg` and `docs/ladder-layered.svg`: the same upload, refused
//! by axum alone and by axum with tower-linger.
//!
//! The test draws them anew, in a network namespace, and asserts the same of the new pictures and of those in
//! docs/: what was sent in which order, and what the client saw. Times and sizes differ from run to run. To
//! renew the pictures: `UPDATE=1 cargo test --workspace --all-features --test pictures`.

#[cfg(target_os = "linux")]
mod probe;

#[cfg(target_os = "linux")]
mod pictures {
    use std::fs;
    use std::path::Path;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::put;
    use tower_linger::axum::LingerListener;
    use tower_linger::{LingerLayer, RequestLayer};
    use tower_linger_tests::server::{listen, serve};

    use super::probe::{probe, text};

    const SCENARIO: &str = "early.stops_at_error";

    pub(super) async fn the_pictures_in_docs_show_what_happens() {
        let app = || Router::new().route("/", put(async || (StatusCode::PAYLOAD_TOO_LARGE, "too large\n")));
        let bare = serve(listen().await, app());
        let listener = LingerListener::new(listen().await, LingerLayer::default());
        let layered = serve(listener, app().layer(RequestLayer));

        let folder = tempfile::tempdir().expect("a folder");
        let (bare, layered) = (format!("axum=http://{}/", bare.address), layered.address);
        let layered = format!("axum with tower-linger=http://{layered}/");
        let into = folder.path().to_str().expect("UTF-8");
        let only = ["check", "--wire", "--only", SCENARIO, "-n", "3", "--ladders", into];
        let output = probe(&[&only[..], &[&bare, &layered]].concat()).await;
        // The bare server has lost its answer.
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));

        for (server, name) in [("axum", "bare"), ("axum-with-tower-linger", "layered")] {
            let new = read(&folder.path().join(format!("{server}.{SCENARIO}.svg")));
            let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
            let path = docs.join(format!("ladder-{name}.svg"));
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &new).expect("docs/ is here");
            }
            let kept = read(&path);
            for svg in [&new, &kept] {
                if name == "bare" { shows_a_loss(svg) } else { shows_an_answer(svg) }
            }
            for part in ["style", "title"] {
                assert_eq!(element(&new, part), element(&kept, part), "{}: UPDATE=1", path.display());
            }
        }
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}: UPDATE=1", path.display()))
    }

    /// The server answers, resets the client that is still sending, and the client's write fails.
    fn shows_a_loss(svg: &str) {
        let (answer, reset) = (first(svg, "server: data"), first(svg, "server: RST"));
        assert!(answer < reset, "{}", element(svg, "desc"));
        first(svg, "client: write failed");
        assert!(svg.contains("The client saw: a failed write, no answer"), "{svg}");
    }

    /// The server answers and sends its FIN, and the client goes on sending after the answer. One line stands
    /// for a burst of the client's segments, and may begin right before the FIN.
    fn shows_an_answer(svg: &str) {
        let (answer, fin) = (first(svg, "server: data"), first(svg, "server: FIN"));
        let story = element(svg, "desc");
        let sends = |after: usize, what: &str| story.split("; ").skip(after).any(|line| line.contains(what));
        assert!(answer < fin && sends(answer, "client: data"), "{story}");
        assert!(sends(fin, "client: FIN"), "{story}");
        assert!(!story.contains("RST") && !story.contains("write failed"), "{story}");
        assert!(svg.contains("The client saw: 413, whole; FIN"), "{svg}");
    }

    /// Which event of the ladder is the first of this kind.
    fn first(svg: &str, what: &str) -> usize {
        let story = element(svg, "desc");
        let found = story.split("; ").position(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("no {what:?} in {story}"))
    }

    /// The text of the first element of this name.
    fn element<'a>(svg: &'a str, name: &str) -> &'a str {
        let start = svg.find(&format!("<{name}")).unwrap_or_else(|| panic!("no {name} in {svg}"));
        let from = start + svg[start..].find('>').expect("a tag") + 1;
        &svg[from..from + svg[from..].find(&format!("</{name}>")).expect("an end")]
    }
}

#[cfg(target_os = "linux")]
tower_linger_tests::wire_tests! {
    async fn pictures::the_pictures_in_docs_show_what_happens;
}

#[cfg(not(target_os = "linux"))]
fn main() {}
