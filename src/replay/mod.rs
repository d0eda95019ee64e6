//! The fulfilment centre as a simulation: orders, queue, workers, pods, nodes, KEDA and the HPA.
//!
//! - [`scenario`]: what is simulated, as a file;
//! - [`orders`]: the arrivals and the work in them, from a trace or the generator;
//! - [`world`]: the centre itself, moved on by `advance_to`; the demo drives it, the replay runs it;
//! - [`policies`]: who decides, ours and the peers behind one trait;
//! - [`keda`]: what an operator has now, out of his ScaledObject;
//! - [`recorded`]: an operator's own history as such a centre;
//! - [`run`]: a policy in the world, through KEDA and the HPA, to a [`score`], and with it a [`trail`].
//!
//! No async runtime, no clock, no network: the same seed gives the same bytes.

use crate::core::Observation;

pub mod bootstrap;
pub mod cells;
pub mod keda;
pub mod lateness;
pub mod least;
pub mod lineup;
pub mod oracle;
pub mod orders;
pub mod policies;
pub mod recorded;
pub mod run;
pub mod scenario;
pub mod score;
pub mod trail;
pub mod units;
pub mod world;

use self::world::hpa::Behavior;

/// Something that answers an observation with a number of replicas.
pub trait ScalingPolicy {
    /// Short name for tables.
    fn name(&self) -> &str;

    /// Decides for `observation.at`.
    fn decide(&mut self, observation: &Observation) -> Answer;

    /// How the HPA behind it is set. Default: Kubernetes' defaults, as KEDA leaves them.
    fn behavior(&self) -> Behavior {
        Behavior::kubernetes_default()
    }

    /// True for a scaler that samples by itself and pushes its activation; false for one that
    /// KEDA asks anew at each HPA sync and each poll.
    fn samples_itself(&self) -> bool {
        false
    }

    /// Whether its last answer came with the warning that orders will be late whatever is done;
    /// `None` from a policy that can't tell.
    fn warns(&self) -> Option<bool> {
        None
    }
}

/// A policy that is borrowed or in a box is one.
impl<P> ScalingPolicy for P
where
    P: std::ops::DerefMut,
    P::Target: ScalingPolicy,
{
    fn name(&self) -> &str {
        (**self).name()
    }

    fn decide(&mut self, observation: &Observation) -> Answer {
        (**self).decide(observation)
    }

    fn behavior(&self) -> Behavior {
        (**self).behavior()
    }

    fn samples_itself(&self) -> bool {
        (**self).samples_itself()
    }

    fn warns(&self) -> Option<bool> {
        (**self).warns()
    }
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The metric over its target, in replicas before rounding; `None` when it cannot tell (the
    /// HPA then holds).
    pub desired: Option<f64>,
    /// What KEDA's activation would see.
    pub active: bool,
    /// Replicas of the capacity buffer.
    pub buffer: u32,
}
