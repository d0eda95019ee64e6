//! What stands in the plan's way: its kind, how bad it is, and a sentence that names the next step.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something does less than it could.
    Warning,
    /// Orders will be late, or workers not come.
    Critical,
}

impl Severity {
    /// As a label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $word:literal,)*) => {
        /// What is found. Labels of metrics and reasons of events come from here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FindingKind {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl FindingKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As a label.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// As the reason of an event.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

kinds! {
    /// The cluster cannot be watched; the last known stands.
    ClusterUnseen "cluster_unseen",
    /// Some kind of object may not be watched.
    NotWatched "not_watched",
    /// There is no Karpenter: nodes are not coordinated.
    NoKarpenter "no_karpenter",
    /// The named NodePool does not exist.
    PoolMissing "pool_missing",
    /// The cluster has no CapacityBuffer.
    BufferKindMissing "buffer_kind_missing",
    /// The named buffer or placeholder does not exist.
    HolderMissing "holder_missing",
    /// Somebody else sets its replicas.
    HolderOfOthers "holder_of_others",
    /// It is held for another workload.
    HolderShared "holder_shared",
    /// The buffer is for other pods than the workers.
    HolderRefersElsewhere "holder_refers_elsewhere",
    /// The placeholder's pods count as workers.
    PlaceholderTakenForWorkers "placeholder_taken_for_workers",
    /// The placeholder's pods ask for other amounts than workers.
    PlaceholderDiffers "placeholder_differs",
    /// The buffer could grow without bound.
    BufferUnlimited "buffer_unlimited",
    /// This process was not told to write.
    NotCoordinated "not_coordinated",
    /// Writing fails.
    WriteFailed "write_failed",
    /// The NodePool's limits are below the plan.
    PoolLimitBelowPlan "pool_limit_below_plan",
    /// The NodePool's limits are below `maxReplicas`.
    PoolLimitBelowMaximum "pool_limit_below_maximum",
    /// The buffer's condition says that pods cannot be placed.
    BufferRefused "buffer_refused",
    /// Events say that limits are exceeded.
    LimitsExceeded "limits_exceeded",
    /// Events say that the cloud has no capacity.
    InsufficientCapacity "insufficient_capacity",
    /// Nodes reach their age in the peak.
    NodesExpireInPeak "nodes_expire_in_peak",
    /// Nothing keeps Karpenter from consolidating in the peak.
    ConsolidationInPeak "consolidation_in_peak",
    /// Slots on nodes cannot be counted.
    SlotsUnknown "slots_unknown",
    /// KEDA has dropped our metric from the HPA.
    MetricMissing "metric_missing",
    /// The HPA's tolerance rounds our number.
    AutoscalerTolerance "autoscaler_tolerance",
    /// The HPA divides our number.
    AutoscalerTarget "autoscaler_target",
    /// The HPA stops below our bound.
    AutoscalerBounds "autoscaler_bounds",
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// How bad.
    pub severity: Severity,
    /// A sentence, and what to do.
    pub text: String,
}

impl Finding {
    /// One.
    pub fn new(kind: FindingKind, severity: Severity, text: impl Into<String>) -> Self {
        Self { kind, severity, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_reasons_are_the_same_name() {
        for kind in FindingKind::ALL {
            let joined: String = kind.word().split('_').map(capitalised).collect();
            assert_eq!(joined, kind.reason());
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{:?}", kind.word()));
        }
    }

    fn capitalised(word: &str) -> String {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    }
}
