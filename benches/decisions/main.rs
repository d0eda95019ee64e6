//! Every policy in every cell of the benchmark, each on the same random numbers; writes
//! `docs/benchmark.md`, its chart and `target/decisions.json`.
//!
//! `cargo bench --profile profiling --bench decisions -- [--only TEXT] [--seed N] [--out FOLDER]`:
//! with `--only`, cells whose name holds the text, and the report goes to `target/`.

mod chart;
mod goals;
mod report;
mod run;

use std::path::PathBuf;

use anyhow::Context as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 1;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |key: &str| {
        let found = arguments.iter().position(|argument| argument == key);
        found.and_then(|index| arguments.get(index + 1)).cloned()
    };
    let only = option("--only");
    let seed = option("--seed").map_or(Ok(SEED), |seed| seed.parse()).context("--seed takes a number")?;
    let folder = option("--out").unwrap_or(if only.is_some() { "target" } else { "docs" }.to_owned());
    let (cells, cost) = run::run(only.as_deref().unwrap_or_default(), seed)?;
    anyhow::ensure!(!cells.is_empty(), "--only {}: no cell is named so", only.unwrap_or_default());
    let write = |path: PathBuf, text: String| {
        println!("{}", path.display());
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let folder = PathBuf::from(folder);
    write(folder.join("benchmark.md"), report::markdown(&cells, &cost))?;
    write(folder.join("benchmark.svg"), chart::svg(&cells))?;
    write(PathBuf::from("target/decisions.json"), serde_json::to_string(&cells)?)
}
