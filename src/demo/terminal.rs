//! The demo in the terminal: on standard error, so that standard output holds the score alone.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::Stopwatch;

/// Without a terminal a line is written this often.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Where the live lines go.
pub enum Terminal {
    /// Two lines that are drawn anew.
    Live(ProgressBar),
    /// A line now and then.
    Plain(Mutex<Option<Stopwatch>>),
}

impl Terminal {
    /// As standard error allows.
    pub fn open() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Plain(Mutex::new(None));
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        Self::Live(bar)
    }

    /// A message that stays.
    pub fn say(&self, message: &str) {
        match self {
            Self::Live(bar) => bar.suspend(|| write(message)),
            Self::Plain(_) => write(message),
        }
    }

    /// The present state: `line` and why.
    pub fn show(&self, line: &str, reason: &str) {
        match self {
            Self::Live(bar) => bar.set_message(format!("{line}\n  {reason}")),
            Self::Plain(last) => {
                let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if last.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                    *last = Some(Stopwatch::start());
                    write(&format!("{line}\n          {reason}"));
                }
            }
        }
    }

    /// Nothing is drawn any more; the last lines stay.
    pub fn close(&self) {
        if let Self::Live(bar) = self {
            bar.abandon();
        }
    }
}

fn write(message: &str) {
    // A closed terminal must not end the demo.
    let _ = writeln!(std::io::stderr(), "{message}");
}
