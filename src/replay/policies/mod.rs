//! Who decides: ours, and the peers, each with the formula it publishes.
//!
//! A peer that is a controller of its own (Practo's, Datadog's, Knative's) brings its own
//! tolerances and limits; the HPA that stands behind every policy then takes its number as it is.
//! Services whose model is not published stand in as surrogates, and are named so.

mod backlog_per_instance;
mod core;
mod fixed;
mod foresight;
mod hourly;
mod keda_cron;
mod keda_sqs;
mod knative;
mod practo;
mod predictive_scaling;
mod prophet_blend;
pub mod schedule;
pub mod tuning;
mod watermark;
mod zalando;

pub use self::core::{CorePolicy, policy_for};
pub use backlog_per_instance::BacklogPerInstance;
pub use fixed::Fixed;
pub use foresight::Foresight;
pub use keda_cron::KedaSqsAndCron;
pub use keda_sqs::KedaSqs;
pub use knative::Knative;
pub use practo::Practo;
pub use predictive_scaling::PredictiveScaling;
pub use prophet_blend::ProphetBlend;
pub use watermark::Watermark;
pub use zalando::Zalando;
