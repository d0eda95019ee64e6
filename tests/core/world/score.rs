//! What became of the orders: who was late, and the least fleet that would have done.

use super::{Outcome, Run, START_SECONDS_OF_DAY, World, whole};

impl World {
    /// The first dispatch that an order makes which arrives then; the whole time lies within one day.
    fn dispatch_of(&self, arrival: u32) -> Option<u32> {
        let made = self.policy.cut_offs.iter().filter_map(|cut_off| {
            let at = cut_off.at_seconds_of_day.checked_sub(START_SECONDS_OF_DAY)?;
            (at >= arrival).then(|| at + whole(cut_off.within_seconds))
        });
        made.min()
    }
}

impl Run<'_> {
    pub(super) fn score(mut self) -> Outcome {
        let wait = self.world.policy.target_wait_seconds.map(whole);
        for (index, arrival) in self.arrivals.iter().enumerate() {
            let dispatch = self.world.dispatch_of(*arrival);
            let due = dispatch.unwrap_or(u32::MAX).min(wait.map_or(u32::MAX, |wait| arrival + wait));
            if *arrival < self.world.unscored_seconds || due >= self.world.seconds {
                continue;
            }
            self.outcome.orders += 1;
            let (begun, ended) = self.works.get(index).copied().unwrap_or((u32::MAX, u32::MAX));
            let waited = wait.is_some_and(|wait| begun > arrival + wait);
            self.outcome.late += u32::from(waited || dispatch.is_some_and(|dispatch| ended > dispatch));
        }
        self.outcome.least_peak = self.least_peak(wait.unwrap_or(7200));
        self.outcome
    }

    /// The most that any stretch of time must get done, in replicas: orders that arrive and are due in it.
    fn least_peak(&self, wait: u32) -> f64 {
        let width = 30;
        let mut sums = vec![0.0];
        for bin in self.arrived[self.world.unscored_seconds as usize..].chunks(width) {
            sums.push(sums[sums.len() - 1] + f64::from(bin.iter().sum::<u32>()));
        }
        let mut most = 0.0_f64;
        for from in 0..sums.len() {
            for to in from + 1..sums.len() {
                let seconds = (to - from) as f64 * width as f64 + f64::from(wait);
                most = most.max((sums[to] - sums[from]) / seconds);
            }
        }
        most * self.world.service_seconds
    }
}
