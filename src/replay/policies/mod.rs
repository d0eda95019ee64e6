//! Who decides: ours, and the peers, each with the formula it publishes.

mod core;
mod fixed;
mod keda_sqs;

pub use self::core::{CorePolicy, policy_for};
pub use fixed::Fixed;
pub use keda_sqs::KedaSqs;
