//! Load for KEDA's contract, on this machine only: `run` sends in an open loop, at KEDA's own
//! cadence or a fixed rate; `compare` holds `GetMetrics` against a bare echo of the same messages.

mod centre;
mod closed_loop;
mod echo;
mod memory;
mod open_loop;
mod record;
mod report;
mod schedule;
mod target;
mod wire;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts load on peakscaler and measures.
#[derive(Debug, clap::Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send as KEDA does, or at a fixed rate, and report how long answers took.
    Run(open_loop::Arguments),
    /// Compare the requests a second of the real server with those of a bare echo.
    Compare(closed_loop::Arguments),
    /// What the other two start as processes of their own.
    #[command(hide = true)]
    Target(target::Arguments),
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &cli.command {
            Command::Run(arguments) => open_loop::run(arguments).await,
            Command::Compare(arguments) => closed_loop::run(arguments).await,
            Command::Target(arguments) => target::run(arguments).await,
        }
    });
    // Reading standard input blocks a thread for as long as nobody closes it.
    runtime.shutdown_background();
    result
}
