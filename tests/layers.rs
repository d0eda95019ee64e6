//! Holds the layers of `docs/adr/0001-layers.md` by reading the source: `core` stays pure, data flows one way,
//! every module says what it is for.
//!
//! It reads tokens, so comments and strings cannot mislead it, and paths inside macros count too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as written in the source, absolute where it names this crate: `crate::observe::sqs`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    segments: Vec<String>,
    line: usize,
}

/// What one folder may not mention, and why.
struct Rule {
    /// Below `src/`.
    layer: &'static str,
    why: &'static str,
    forbids: fn(&[&str]) -> bool,
}

const RULES: &[Rule] = &[
    Rule {
        layer: "core",
        why: "core knows no sibling layer",
        forbids: |path| matches!(path, ["crate" | "peakscaler", layer, ..] if *layer != "core"),
    },
    Rule {
        layer: "core",
        why: "core does no asynchronous or remote work",
        forbids: |path| {
            const REMOTE: &[&str] = &[
                "tokio",
                "tokio_util",
                "tokio_stream",
                "futures",
                "tonic",
                "kube",
                "k8s_openapi",
                "reqwest",
                "axum",
                "tower",
            ];
            path.len() > 1 && (REMOTE.contains(&path[0]) || path[0].starts_with("aws_"))
        },
    },
    Rule {
        layer: "core",
        why: "core is told the time and never reads a clock",
        forbids: |path| {
            const CLOCKS: &[&str] = &["*", "self", "Instant", "SystemTime", "UNIX_EPOCH"];
            match path {
                ["std", "time"] | [_, .., "now"] => true,
                ["std", "time", item, ..] => CLOCKS.contains(item),
                _ => false,
            }
        },
    },
    Rule {
        layer: "core",
        why: "core draws no random number, nor leans on the random order of a hash map",
        forbids: |path| {
            const GENERATORS: &[&str] = &["rand", "rand_chacha", "rand_distr", "getrandom", "fastrand"];
            const HASHED: &[&str] = &["*", "hash_map", "hash_set", "HashMap", "HashSet"];
            match path {
                ["std", .., "RandomState"] => true,
                ["std", "collections", item, ..] => HASHED.contains(item),
                [first, _, ..] => GENERATORS.contains(first),
                _ => false,
            }
        },
    },
    Rule {
        layer: "core",
        why: "core touches no file, network, environment, process or thread",
        forbids: |path| {
            matches!(
                path,
                ["std", "fs" | "net" | "env" | "thread" | "process" | "io" | "os", ..] | ["std", "*"]
            )
        },
    },
    Rule {
        layer: "trigger",
        why: "trigger reads metadata for core, and knows nothing else",
        forbids: |path| matches!(path, ["crate", layer, ..] if !matches!(*layer, "core" | "trigger")),
    },
    Rule {
        layer: "observe",
        why: "observe brings facts in; it does not know who uses them",
        forbids: |path| {
            matches!(
                path,
                [
                    "crate",
                    "engine" | "grpc" | "admin" | "capacity" | "console" | "replay" | "demo" | "cli",
                    ..
                ]
            )
        },
    },
    Rule {
        layer: "history",
        why: "history keeps what it is told; it does not know who tells",
        forbids: |path| matches!(path, ["crate", layer, ..] if !matches!(*layer, "core" | "clock" | "telemetry" | "history")),
    },
    Rule {
        layer: "calendar",
        why: "calendars say what people know; whoever plans with them is told through a trait",
        forbids: |path| matches!(path, ["crate", layer, ..] if !matches!(*layer, "core" | "clock" | "trigger" | "calendar")),
    },
    Rule {
        layer: "engine",
        why: "engine fills the snapshot; it does not know who reads it",
        forbids: |path| {
            matches!(
                path,
                ["crate", "grpc" | "admin" | "capacity" | "console" | "replay" | "demo" | "cli", ..]
            )
        },
    },
    Rule {
        layer: "capacity",
        why: "capacity reads snapshots and writes wishes; it does not know who tells of them",
        forbids: |path| {
            matches!(path, ["crate", "grpc" | "admin" | "console" | "replay" | "demo" | "cli", ..])
        },
    },
    Rule {
        layer: "grpc",
        why: "the request path reads a snapshot and does no I/O",
        // Names of workloads and the health of sources are data; the modules of `observe` are I/O.
        forbids: |path| match path {
            ["crate", "observe", item, ..] => {
                !matches!(*item, "WorkloadId" | "SourceHealth" | "AttachError" | "self")
            }
            ["crate", "replay" | "demo" | "cli" | "console", ..] => true,
            [first, _, ..] => matches!(*first, "reqwest" | "kube") || first.starts_with("aws_"),
            _ => false,
        },
    },
];

#[test]
fn layers_mention_only_what_they_may() {
    let mut violations = Vec::new();
    for file in source_files() {
        let text = fs::read_to_string(&file).unwrap();
        let module = module_of(&file);
        for (mention, why) in violations_in(&module, &text) {
            let path = mention.segments.join("::");
            violations.push(format!("{}:{}: {path}: {why}", file.display(), mention.line));
        }
    }
    assert!(violations.is_empty(), "\n{}\nsee docs/adr/0001-layers.md", violations.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = source_files()
        .into_iter()
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no //! on the first line of:\n{}", silent.join("\n"));
}

#[test]
fn planted_violations_are_caught() {
    let cases: &[(&str, &str)] = &[
        // core and its siblings
        ("core::plan", "use crate::observe::Observed;"),
        ("core::plan", "use crate::{core::Policy, trigger::Trigger};"),
        ("core::plan::string", "use super::super::super::observe::sqs;"),
        ("core::plan", "mod inner { fn f() { super::super::super::grpc::serve() } }"),
        ("core", "fn f() { peakscaler::engine::start() }"),
        ("core", "fn f() { println!(\"{}\", crate::clock::now()) }"),
        // asynchronous and remote
        ("core", "use tokio::sync::watch;"),
        ("core", "fn f() -> tonic::Status { todo!() }"),
        ("core", "use kube::Api;"),
        ("core", "use aws_sdk_sqs::Client;"),
        ("core", "use ::reqwest::Client;"),
        ("core", "use axum::{Router, routing::get};"),
        // clock
        ("core", "use std::time::{Duration, Instant};"),
        ("core", "use std::{time::SystemTime, fmt};"),
        ("core", "use std::time as t;"),
        ("core", "use std::time::{self, Duration};"),
        ("core", "fn f() { let at = jiff::Timestamp::now(); }"),
        ("core", "fn f() { let at = Zoned::now(); }"),
        ("core", "use jiff::Timestamp as T; fn f() { assert_eq!(T::now(), at) }"),
        // randomness
        ("core", "use rand::Rng;"),
        ("core", "use rand_chacha::ChaCha8Rng;"),
        ("core", "use std::collections::{BTreeMap, HashMap};"),
        ("core", "use std::hash::RandomState;"),
        // the outside world
        ("core", "fn f() { std::fs::read(\"x\"); }"),
        ("core", "use std::net::TcpStream;"),
        ("core", "use std::{env, fmt};"),
        ("core", "fn f() { std::thread::sleep(x) }"),
        ("core", "use std::*;"),
        // the other layers
        ("trigger::parse", "use crate::observe::WorkloadId;"),
        ("observe::sqs", "use crate::engine::Engine;"),
        ("history::store", "use crate::engine::Engine;"),
        ("calendar::cluster", "use crate::engine::Engine;"),
        ("engine", "use crate::grpc::Server;"),
        ("capacity::wish", "use crate::admin::Admin;"),
        ("grpc::service", "use crate::observe::sqs::SqsPoller;"),
        ("grpc::service", "use crate::observe::{WorkloadId, cluster};"),
        ("grpc", "use crate::observe::*;"),
        ("grpc", "use kube::Api;"),
    ];
    for (module, text) in cases {
        assert!(!violations_in(module, text).is_empty(), "not caught in {module}: {text}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let cases: &[(&str, &str)] = &[
        ("core::plan", "use super::demand::Outlook; use crate::core::Policy;"),
        ("core::plan", "mod tests { use super::*; use super::super::Policy; }"),
        ("core", "use std::time::Duration; use std::collections::BTreeMap;"),
        (
            "core",
            "// crate::observe::sqs\n/// std::fs::read\nfn f() { g(\"tokio::spawn\", r#\"rand::rng\"#) }",
        ),
        ("core", "fn f(now: Timestamp) { let rand = 1; let kube = now; x.now() }"),
        ("grpc", "use crate::observe::WorkloadId; use crate::engine::Snapshot;"),
        ("observe::sqs", "use aws_sdk_sqs::Client; use crate::trigger::Trigger;"),
        ("cli::serve", "use crate::observe::sqs; use crate::grpc::serve;"),
    ];
    for (module, text) in cases {
        assert_eq!(violations_in(module, text), [], "refused in {module}: {text}");
    }
}

fn violations_in(module: &str, text: &str) -> Vec<(Mention, &'static str)> {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    let tokens = TokenStream::from_str(text).expect("the source is Rust");
    let mut mentions = Vec::new();
    collect(tokens, &module, &mut mentions);
    let mut found = Vec::new();
    for mention in mentions {
        let path: Vec<&str> = mention.segments.iter().map(String::as_str).collect();
        let broken = RULES.iter().find(|rule| rule.layer == module[0] && (rule.forbids)(&path));
        if let Some(rule) = broken {
            found.push((mention, rule.why));
        }
    }
    found
}

/// Keywords that may stand before `::path`; they are no part of it.
const KEYWORDS: &[&str] = &[
    "as", "break", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut", "ref", "return",
    "use", "where", "while",
];

/// Walks tokens, entering groups and inline modules, and gathers every path.
fn collect(tokens: TokenStream, module: &[String], mentions: &mut Vec<Mention>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => {
                let inline_module = index.checked_sub(2).and_then(|before| match tokens.get(before..index) {
                    Some([TokenTree::Ident(keyword), TokenTree::Ident(name)])
                        if keyword == "mod" && group.delimiter() == Delimiter::Brace =>
                    {
                        Some(name.to_string())
                    }
                    _ => None,
                });
                let mut inner = module.to_vec();
                inner.extend(inline_module);
                collect(group.stream(), &inner, mentions);
                index += 1;
            }
            TokenTree::Ident(ident) if KEYWORDS.contains(&ident.to_string().as_str()) => index += 1,
            TokenTree::Ident(_) => index = path(&tokens, index, Vec::new(), module, mentions),
            TokenTree::Punct(_) | TokenTree::Literal(_) => index += 1,
        }
    }
}

/// Reads one path from `index` on, with the tree of a `use` expanded; returns the index behind it.
fn path(
    tokens: &[TokenTree],
    mut index: usize,
    mut segments: Vec<String>,
    module: &[String],
    mentions: &mut Vec<Mention>,
) -> usize {
    let line = tokens[index].span().start().line;
    loop {
        match tokens.get(index) {
            Some(TokenTree::Ident(ident)) => segments.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let tree: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in
                    tree.split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
                {
                    if !branch.is_empty() {
                        path(branch, 0, segments.clone(), module, mentions);
                    }
                }
                return index + 1;
            }
            _ => break,
        }
        index += 1;
        if !is_path_separator(tokens, index) {
            break;
        }
        index += 2;
    }
    mentions.push(Mention { segments: absolute(segments, module), line });
    index
}

fn is_path_separator(tokens: &[TokenTree], index: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(index) && colon(index + 1)
}

/// Turns `self::` and `super::` into a path from `crate`.
fn absolute(segments: Vec<String>, module: &[String]) -> Vec<String> {
    if segments.len() < 2 || !matches!(segments[0].as_str(), "self" | "super") {
        return segments;
    }
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    let skipped = ups.max(1);
    let mut whole = vec!["crate".to_owned()];
    whole.extend(module[..module.len().saturating_sub(ups)].iter().cloned());
    whole.extend(segments[skipped..].iter().cloned());
    whole
}

/// `src/core/plan/mod.rs` is `core::plan`, `src/core/plan/string.rs` is `core::plan::string`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(source_folder()).unwrap().with_extension("");
    let mut parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.len() > 1 && parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts.join("::")
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![source_folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 5, "no source found");
    files
}
