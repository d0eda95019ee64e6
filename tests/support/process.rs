//! Child processes that end with the test, and waiting with a bound.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A child process that is killed when this is dropped.
pub(crate) struct Part {
    name: &'static str,
    child: Child,
    last_words: Option<std::thread::JoinHandle<Vec<u8>>>,
}

impl Part {
    /// Starts `command` without input; what it says is shown when it ends too early.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stderr = child.stderr.take();
        // Read all along: a full pipe would stop the process.
        let last_words = std::thread::spawn(move || {
            let mut words = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.read_to_end(&mut words);
            }
            words
        });
        Self { name, child, last_words: Some(last_words) }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_some()
    }

    /// Kills it and waits for its end.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Polls `url` until it answers with success.
    pub(crate) async fn ready(&mut self, url: &str) {
        let client = client();
        let deadline = tokio::time::sleep(Duration::from_mins(3));
        tokio::pin!(deadline);
        loop {
            if self.has_ended() {
                let words = self.last_words.take().map(std::thread::JoinHandle::join);
                let words = words.and_then(Result::ok).unwrap_or_default();
                panic!("{} has ended: {}", self.name, String::from_utf8_lossy(&words));
            }
            if let Ok(answer) = client.get(url).send().await
                && answer.status().is_success()
            {
                return;
            }
            tokio::select! {
                () = &mut deadline => panic!("{} is not ready at {url}", self.name),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An HTTP client for the test's own questions.
pub(crate) fn client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

/// The TLS provider that every client needs.
pub(crate) fn install_crypto() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The project's directory.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `.tools/` with all parts installed; installs what is missing, once.
pub(crate) fn tools() -> PathBuf {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let script = project().join("scripts/test-parts.sh");
        let status = Command::new(&script).status().unwrap();
        assert!(status.success(), "{} failed", script.display());
    });
    project().join(".tools")
}
