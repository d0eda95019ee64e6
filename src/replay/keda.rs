//! A ScaledObject as its operator has it, read so that the simulated centre can run it.
//!
//! Understood are KEDA's `aws-sqs-queue`, `cron`, `prometheus` on a rate of arriving orders, and a
//! trigger of ours; bounds, pace and the HPA's behaviour. Whatever else would change the number is
//! refused by name and line, never guessed.

mod behavior;
mod cron;
mod rate;
mod read;
#[cfg(test)]
mod tests;
mod triggers;

use std::path::{Path, PathBuf};

use super::policies::KedaSqs;
use super::world::hpa::Behavior;
use crate::trigger::Trigger;

pub use cron::Cron;
pub use rate::ArrivalRate;
pub use triggers::KedaTriggers;

/// Why a file gives no ScaledObject that can be simulated.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read as text.
    #[error("{}: cannot be read: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It says something wrong, or something that is not understood.
    #[error("{}", in_lines(.path, .problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Everything found.
        problems: Vec<Problem>,
    },
}

/// Something wrong or not understood, at a line counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line.
    pub line: usize,
    /// Begins with the key; says what would be right.
    pub message: String,
}

fn in_lines(path: &Path, problems: &[Problem]) -> String {
    let lines =
        problems.iter().map(|Problem { line, message }| format!("{}:{line}: {message}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Bounds, pace, behaviour and triggers of one ScaledObject.
#[derive(Debug, Clone)]
pub struct ScaledObject {
    /// `namespace/name`, or the name alone.
    pub name: String,
    /// The Deployment that it scales.
    pub target: String,
    /// `minReplicaCount`.
    pub min_replicas: u32,
    /// `maxReplicaCount`.
    pub max_replicas: u32,
    /// `pollingInterval`, seconds.
    pub polling_seconds: f64,
    /// `cooldownPeriod`, seconds.
    pub cooldown_seconds: f64,
    /// The HPA's behaviour.
    pub behavior: Behavior,
    /// KEDA's own triggers that decide.
    pub keda: Vec<KedaTrigger>,
    /// A trigger of ours: it decides when there is none of KEDA's, and only advises beside them.
    pub ours: Option<Box<Trigger>>,
    /// How things were understood that could be meant otherwise; one sentence each.
    pub notes: Vec<String>,
}

/// A trigger of KEDA's own.
#[derive(Debug, Clone)]
pub enum KedaTrigger {
    /// `aws-sqs-queue`.
    Sqs(KedaSqs),
    /// `cron`.
    Cron(Box<Cron>),
    /// `prometheus` on the rate of arriving orders.
    Rate(ArrivalRate),
}

impl ScaledObject {
    /// Loads the only ScaledObject of a file.
    ///
    /// # Errors
    /// When the file cannot be read, or everything in it that is wrong or not understood.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| LoadError::Read { path: path.to_owned(), reason: error.to_string() })?;
        Self::parse(&text).map_err(|problems| LoadError::Wrong { path: path.to_owned(), problems })
    }

    /// Reads the only ScaledObject of a text.
    ///
    /// # Errors
    /// Everything that is wrong or not understood.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        read::read(text)
    }

    /// KEDA's triggers as a policy; `None` where only ours decides.
    pub fn policy(&self) -> Option<KedaTriggers> {
        (!self.keda.is_empty()).then(|| KedaTriggers::new(self.keda.clone(), self.behavior.clone()))
    }

    /// Whether a trigger needs arrivals from Prometheus.
    pub fn reads_prometheus(&self) -> bool {
        self.keda.iter().any(|trigger| matches!(trigger, KedaTrigger::Rate(_)))
    }
}
