//! A real nginx with a small configuration. It runs until its value is dropped.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

/// A running nginx: one process, which ends when this value is dropped.
#[derive(Debug)]
pub struct Nginx {
    folder: TempDir,
    process: Child,
}

impl Nginx {
    /// Starts it with these `server` blocks, in which `{folder}` is replaced by the path of its
    /// [folder](Self::file), and with these files in that folder.
    ///
    /// # Panics
    ///
    /// If nginx is not installed.
    #[must_use]
    pub fn start(servers: &str, files: &[(&str, &str)]) -> Self {
        Self::start_for(512, servers, files)
    }

    /// The same for so many connections at once, instead of nginx's default of 512.
    ///
    /// # Panics
    ///
    /// If nginx is not installed.
    #[must_use]
    pub fn start_for(connections: usize, servers: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {path}/{what};\n"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;\n\
             events {{ worker_connections {connections}; }}\nhttp {{ access_log off;\n{scratch}{}\n}}\n",
            servers.replace("{folder}", &path)
        );
        for (name, contents) in files.iter().copied().chain([("nginx.conf", config.as_str())]) {
            std::fs::write(folder.path().join(name), contents).expect("a temporary folder takes it");
        }
        let process = Command::new("nginx")
            .args(["-p", &path, "-c", "nginx.conf"])
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not start ({error}): `make needs` installs it"));
        Self { folder, process }
    }

    /// The path of a file in its folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The id of its only process.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Waits until it accepts connections at this port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If it ends, or does not listen within 30 seconds.
    pub async fn listens_at(&mut self, port: u16) {
        self.listens(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    }

    /// Waits until it accepts connections at this Unix socket in its folder.
    ///
    /// # Panics
    ///
    /// If it ends, or does not listen within 30 seconds.
    pub async fn listens_on(&mut self, socket: &str) {
        let path = self.file(socket);
        self.listens(async || UnixStream::connect(&path).await.is_ok()).await;
    }

    async fn listens(&mut self, connects: impl AsyncFn() -> bool) {
        const BOUND: Duration = Duration::from_secs(30);
        let listening = async {
            while !connects().await {
                let ended = self.process.try_wait().expect("it is ours");
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                assert!(ended.is_none(), "nginx has ended: {log:?}");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, listening).await.expect("nginx listens");
    }
}
