//! Captures that others made: what each shows, by a table that people filled in with tshark, and where tshark
//! says something else.
//!
//! Run it by `make captures`. The variable `CAPTURES` names the folder with the files.

#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write as _;
    use std::path::PathBuf;

    use tower_linger_tests::trace::{mismatch, read, told};
    use tower_linger_tests::tshark::differences;

    use super::table::{CAPTURES, Capture};

    fn file(name: &str) -> Vec<u8> {
        let folder = std::env::var_os("CAPTURES").expect("CAPTURES names the folder with the captures");
        let path = PathBuf::from(folder).join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn each_connection_is_told_as_it_was() {
        let mut wrong = String::new();
        for Capture { name, told: expected, .. } in CAPTURES {
            let found: Vec<String> = read(&file(name)).iter().map(told).collect();
            if let Some(mismatch) = mismatch(&found, expected) {
                let _ = writeln!(wrong, "{name}: {mismatch}");
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn tshark_says_the_same_but_for_what_the_table_names() {
        let mut wrong = String::new();
        // tshark takes about half a second to start.
        for captures in CAPTURES.chunks(4) {
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    captures.iter().map(|one| (one, scope.spawn(|| second_opinion(one)))).collect();
                for (capture, thread) in running {
                    if let Some(mismatch) = thread.join().expect("tshark reads it") {
                        let _ = writeln!(wrong, "{}: {mismatch}", capture.name);
                    }
                }
            });
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    fn second_opinion(capture: &Capture) -> Option<String> {
        let bytes = file(capture.name);
        let found = differences(&bytes, &read(&bytes));
        let expected: Vec<&str> = capture.but.iter().map(|(difference, _why)| *difference).collect();
        mismatch(&found, &expected)
    }

    /// So that no file is overlooked when the folder gets more.
    #[test]
    fn the_table_has_every_file() {
        let folder = std::env::var_os("CAPTURES").expect("CAPTURES names the folder with the captures");
        let files = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"));
        let mut files: Vec<String> = files.filter(|name| name.contains(".pcap")).collect();
        files.sort();
        let table: Vec<&str> = CAPTURES.iter().map(|capture| capture.name).collect();
        assert_eq!(files, table);
    }
}
