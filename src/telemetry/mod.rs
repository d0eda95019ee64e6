//! What the process says of itself: logs, metrics, and decision records kept as lines.

pub mod catalogue;
pub mod logs;
pub mod metrics;
pub mod records;

pub use logs::LogFormat;
pub use metrics::Metrics;
pub use records::{RecordOptions, RecordSink};
