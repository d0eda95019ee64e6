//! The planner's constants: one setting for all workloads, each with its why.

/// The due curve is drawn for this share of the target wait; the rest is left for shocks.
pub const WAIT_RESERVE: f64 = 0.7;
/// Orders that are behind the reserved due curve may be caught up over this share of the wait:
/// what the reserve leaves before they are late in truth.
pub const CATCH_UP_SHARE: f64 = 0.28;
/// Share of the wait that may be used up before an order counts as saved by a steep slope.
pub const WAIT_LIMIT: f64 = 0.92;
/// Share of the time from cut-off to dispatch that the plan uses.
pub const CUT_OFF_RESERVE: f64 = 0.7;
/// Window sums are taken this many standard deviations up.
pub const DEVIATIONS: f64 = 1.0;
/// Nodes are slower to come than pods, so they are planned for a higher quantile.
pub const NODE_DEVIATIONS: f64 = 1.5;
/// From a decision to new pods being created: KEDA's answer waits for the next sync of the HPA.
pub const CYCLE_SECONDS: f64 = 15.0;
/// Steps of the time grid: until so many seconds from now, of so many seconds.
pub const STEPS_SECONDS: [(f64, f64); 4] = [(150.0, 5.0), (300.0, 10.0), (900.0, 15.0), (7200.0, 60.0)];
/// The step beyond the last of [`STEPS_SECONDS`].
pub const LAST_STEP_SECONDS: f64 = 300.0;
/// The horizon is at least this long.
pub const HORIZON_SECONDS: f64 = 1800.0;
/// And reaches this far beyond the target wait.
pub const HORIZON_BEYOND_WAIT_SECONDS: f64 = 600.0;
/// A cut-off farther away than this does not decide yet.
pub const HORIZON_LIMIT_SECONDS: f64 = 26.0 * 3600.0;
/// Overdue work is never asked to be caught up faster than this.
pub const LEAST_CATCH_UP_SECONDS: f64 = 50.0;
/// Nothing is added for a want of less than this many replicas and this share of those there:
/// the reserve carries it, and the next cycle looks again.
pub const UP_SLACK_REPLICAS: f64 = 0.4;
/// Of a fleet of so many, half of [`UP_SLACK_REPLICAS`] is let go: two workers that are a fifth short fall
/// behind for good.
pub const UP_SLACK_HALVED_AT: f64 = 2.0;
/// See [`UP_SLACK_REPLICAS`].
pub const UP_SLACK_SHARE: f64 = 0.04;
/// A step down of less than this share waits until it has been wanted for as long as the target wait, and for
/// [`SETTLED_SECONDS`] at most.
pub const SETTLED_SHARE: f64 = 0.1;
/// A single worker that is more of its fleet than that waits for this share of it: the queue bears it as long, and
/// one of two that has nothing to do is half the cost.
pub const SETTLED_ONE_SHARE: f64 = 0.25;
/// See [`SETTLED_SHARE`].
pub const SETTLED_SECONDS: f64 = 300.0;
/// Workers stay while as many orders wait as come in this share of the target wait, ...
pub const WORKED_OFF_SHARE: f64 = 0.3;
/// ... and keep them busy for longer than this.
pub const WORKED_OFF_SECONDS: f64 = 60.0;
/// Where less than this share of what comes now is expected over the wait, the queue is left to that time.
pub const LESS_SHARE: f64 = 0.9;
/// A service rate known better than to this relative deviation is taken at its mean.
pub const SURE_DEVIATION: f64 = 0.12;
/// Of one known worse, no more than this share is taken off it, ...
pub const MOST_CARE: f64 = 0.25;
/// ... and this one while it is a guess: a queue that stands because its workers are slow looks like one to which as much comes
/// as goes, and only more workers tell the two apart.
pub const MOST_CARE_GUESSED: f64 = 0.45;
/// A fraction of a replica that the reserve can carry for a while is not kept: without this a need
/// of 2.1 would hold three workers all night.
pub const DOWN_SLACK_REPLICAS: f64 = 0.3;
/// A service rate is seen within this time where completions are not counted minutes late.
pub const FIRST_RATE_SECONDS: f64 = 90.0;
/// So many replicas are ordered at once on a service rate that nobody has seen.
pub const FIRST_REPLICAS: u32 = 10;
/// A queue is believed empty that was found so for this long: a counter may show nothing for a minute.
pub const EMPTY_SECONDS: f64 = 120.0;
/// Nothing came where so many orders were expected: a seventh of all such silences.
pub const UNLIKELY_SILENCE: f64 = 2.0;
/// Readings older than this scale nothing down: three polls of the queue have failed.
pub const DOUBTFUL_AGE_SECONDS: f64 = 75.0;
/// An order whose worker is taken away returns after this long where the queue doesn't say: three times what SQS
/// sets by itself.
pub const ASSUMED_VISIBILITY_SECONDS: f64 = 90.0;
/// Ages are estimated: orders have waited for up to so much longer, by readings that lag and lie.
pub const AGE_ERROR_SECONDS: f64 = 45.0;
/// No more orders are thought possible than so many standard deviations above what is expected.
pub const MOST_DEVIATIONS: f64 = 3.0;
/// A step down waits for as long as an order takes, but no longer than this.
pub const LONGEST_HOLD_SECONDS: f64 = 1800.0;
/// Of the workers at work so many standard deviations more are held as long: a few of them may soon be wanted again.
pub const BUSY_DEVIATIONS: f64 = 0.5;
