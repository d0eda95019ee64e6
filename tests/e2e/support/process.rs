//! Processes of a cluster. They outlive whoever started them: each has a pid file, and is ended only while that pid
//! still is the process that was started.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::until;

/// How long a process may take to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// How a process is started, kept on disk so that it can be started again by another command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Part {
    pub(crate) fn new(name: &str, program: PathBuf) -> Self {
        Self { name: name.to_owned(), program, arguments: Vec::new(), environment: BTreeMap::new() }
    }

    /// Adds `--NAME=VALUE`.
    pub(crate) fn flag(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arguments.push(format!("--{name}={value}"));
        self
    }

    /// Adds an argument as it is.
    pub(crate) fn argument(mut self, value: impl Into<String>) -> Self {
        self.arguments.push(value.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts it in a process group of its own, its words going to `RUN/log/NAME.log`.
    pub(crate) fn start(&self, run: &Path) -> anyhow::Result<()> {
        let log = log_file(run, &self.name);
        fs::create_dir_all(run.join("log"))?;
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(&self.environment)
            .current_dir(run)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        let pid = child.id();
        let began = start_time(pid).unwrap_or_default();
        fs::write(pid_file(run, &self.name), format!("{pid} {began}\n"))?;
        // Collected when it ends: one that nobody waits for would look as if it still ran.
        std::thread::spawn(move || child.wait());
        Ok(())
    }
}

/// Where the words of a process go.
pub(crate) fn log_file(run: &Path, name: &str) -> PathBuf {
    run.join("log").join(format!("{name}.log"))
}

/// The last lines of a process's log.
pub(crate) fn last_words(run: &Path, name: &str, lines: usize) -> String {
    let text = fs::read(log_file(run, name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether the process still runs.
pub(crate) fn is_running(run: &Path, name: &str) -> bool {
    pid(run, name).is_some()
}

/// Ends a process and waits for its end; kills it when it takes too long. Nothing happens when it does not run.
pub(crate) async fn stop(run: &Path, name: &str) -> anyhow::Result<()> {
    signal(run, name, "TERM");
    let gone = async || Ok((!is_running(run, name)).then_some(()));
    if until("the end of a process", END_PATIENCE, gone).await.is_err() {
        kill(run, name).await?;
    }
    let _ = fs::remove_file(pid_file(run, name));
    Ok(())
}

/// Kills a process, without a chance to say goodbye, and waits until it is gone.
pub(crate) async fn kill(run: &Path, name: &str) -> anyhow::Result<()> {
    signal(run, name, "KILL");
    until(&format!("{name} is gone"), END_PATIENCE, async || Ok((!is_running(run, name)).then_some(()))).await
}

/// Sends a signal, if the process runs.
pub(crate) fn signal(run: &Path, name: &str, signal: &str) {
    if let Some(pid) = pid(run, name) {
        let _ =
            Command::new("kill").args([format!("-{signal}"), pid.to_string()]).stderr(Stdio::null()).status();
    }
}

/// Names of all processes that were started in `run` and not stopped.
pub(crate) fn started(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run).into_iter().flatten().flatten();
    let names =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".pid").map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn pid_file(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.pid"))
}

fn pid(run: &Path, name: &str) -> Option<u32> {
    let text = fs::read_to_string(pid_file(run, name)).ok()?;
    let (pid, began) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (start_time(pid)? == began).then_some(pid)
}

/// When a process began, in the kernel's own unit; `None` when it has ended.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the state follows it, and the start is the 20th field from there.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

/// Ports of 127.0.0.1 that were free a moment ago, all different.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let listeners: Vec<_> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
