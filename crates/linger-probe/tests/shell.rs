//! What the command prints for shells and `man`, and when it uses colours.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

mod probe;

use probe::{assert_refused, probe, probe_with, saying, text};

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_scripts_that_know_the_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = probe(&["completions", shell]).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let script = text(&output.stdout);
        for word in ["linger-probe", "proxy-protocol", "unix-socket", "scenarios"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let mut bash =
                Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("there is a bash");
            let mut stdin = bash.stdin.take().expect("it is piped");
            stdin.write_all(script.as_bytes()).await.expect("it reads");
            drop(stdin);
            assert!(bash.wait().await.expect("it ends").success(), "{script}");
        }
    }
    assert_refused(&["completions", "cmd.exe"], "possible values: bash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_page_for_each_command() {
    let page = probe(&["man"]).await;
    let page = text(&page.stdout);
    assert!(page.contains(".TH linger-probe 1") && page.contains("linger\\-probe\\-check(1)"), "{page}");
    let page = probe(&["man", "check"]).await;
    let page = text(&page.stdout);
    assert!(page.contains(".TH linger-probe-check 1") && page.contains("\\-\\-unix\\-socket"), "{page}");
    assert_refused(&["man", "chek"], "there is no command \"chek\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_and_those_who_ask() {
    let server = saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let check = ["check", &server, "--only", "close.requested", "-n", "1", "--color"];
    let coloured = async |when: &str, variables: &[(&str, &str)]| {
        let output = probe_with(&[&check[..], &[when]].concat(), variables).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).contains('\u{1b}')
    };
    assert!(!coloured("auto", &[]).await);
    assert!(coloured("always", &[]).await);
    // The option overrides the variable.
    assert!(coloured("always", &[("NO_COLOR", "1")]).await);
    assert!(!coloured("never", &[]).await);
}
