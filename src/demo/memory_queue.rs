//! A small first-in-first-out queue in memory, with delays and visibility time-outs as SQS has them.
//!
//! It stands behind the embedded SQS server where a test wants real messages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::queue_view::{QueueCounters, QueueError, QueueView, ReceivedMessage};
use crate::clock::Clock;

/// The queue. Times are the clock's, so a scaled or manual clock moves the time-outs with it.
#[derive(Debug)]
pub struct MemoryQueue {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    visible: VecDeque<Message>,
    delayed: Vec<(Timestamp, Message)>,
    in_flight: Vec<(Timestamp, Message)>,
}

#[derive(Debug, Clone)]
struct Message {
    id: u64,
    body: String,
    receive_count: u32,
}

impl Message {
    fn receipt(&self) -> String {
        format!("{}-{}", self.id, self.receive_count)
    }
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// The state after everything that fell due by now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { visible, delayed, in_flight, .. } = &mut *state;
        for waiting in [delayed, in_flight] {
            waiting.sort_by_key(|(due, message)| (*due, message.id));
            let due = waiting.partition_point(|(due, _)| *due <= now);
            visible.extend(waiting.drain(..due).map(|(_, message)| message));
        }
        state
    }

    fn after(&self, duration: Duration) -> Timestamp {
        self.clock.now().checked_add(duration).unwrap_or(Timestamp::MAX)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl QueueView for MemoryQueue {
    fn counters(&self) -> QueueCounters {
        let state = self.settled();
        QueueCounters {
            visible: count(state.visible.len()),
            in_flight: count(state.in_flight.len()),
            delayed: count(state.delayed.len()),
        }
    }

    fn send(&self, body: String, delay: Duration) -> Result<String, QueueError> {
        let mut state = self.settled();
        state.next_id += 1;
        let message = Message { id: state.next_id, body, receive_count: 0 };
        let id = message_id(message.id);
        if delay.is_zero() {
            state.visible.push_back(message);
        } else {
            let due = self.after(delay);
            state.delayed.push((due, message));
        }
        Ok(id)
    }

    fn receive(&self, most: usize, visibility: Duration) -> Result<Vec<ReceivedMessage>, QueueError> {
        let mut state = self.settled();
        let due = self.after(visibility);
        let taken = most.min(state.visible.len());
        let messages: Vec<Message> = state
            .visible
            .drain(..taken)
            .map(|message| Message { receive_count: message.receive_count + 1, ..message })
            .collect();
        state.in_flight.extend(messages.iter().map(|message| (due, message.clone())));
        Ok(messages
            .into_iter()
            .map(|message| ReceivedMessage {
                id: message_id(message.id),
                receipt: message.receipt(),
                receive_count: message.receive_count,
                body: message.body,
            })
            .collect())
    }

    fn delete(&self, receipt: &str) -> Result<(), QueueError> {
        let mut state = self.settled();
        let found = state.in_flight.iter().position(|(_, message)| message.receipt() == receipt);
        let index = found.ok_or_else(|| QueueError::UnknownReceipt(receipt.to_owned()))?;
        state.in_flight.swap_remove(index);
        Ok(())
    }
}

/// SQS's identities look like UUIDs.
fn message_id(id: u64) -> String {
    format!("00000000-0000-4000-8000-{id:012x}")
}
