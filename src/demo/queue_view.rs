//! What the embedded SQS server needs of the queue behind it.

use std::time::Duration;

/// SQS's three approximate counters, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounters {
    /// Waiting to be received.
    pub visible: u64,
    /// Received and not yet deleted.
    pub in_flight: u64,
    /// Not yet visible because of a delay.
    pub delayed: u64,
}

/// A message handed to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Identity of the message.
    pub id: String,
    /// What deletes it; of this one receipt.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// Why a queue does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue stands for a simulated centre and holds no messages.
    #[error(
        "this queue shows the simulated centre's counters only: its orders are sent, received and deleted by the simulation"
    )]
    CountersOnly,
    /// The receipt is not of a message in flight.
    #[error("receipt handle {0:?} is not of a message in flight")]
    UnknownReceipt(String),
}

/// A queue as SQS's clients see it.
pub trait QueueView: Send + Sync {
    /// The counters, as stale and as approximate as the queue behind tells them.
    fn counters(&self) -> QueueCounters;

    /// Puts a message in; visible after `delay`. Returns its identity.
    ///
    /// # Errors
    /// [`QueueError::CountersOnly`] where there are no messages.
    fn send(&self, _body: String, _delay: Duration) -> Result<String, QueueError> {
        Err(QueueError::CountersOnly)
    }

    /// Takes out at most `most` messages; each comes back after `visibility` unless deleted.
    ///
    /// # Errors
    /// [`QueueError::CountersOnly`] where there are no messages.
    fn receive(&self, _most: usize, _visibility: Duration) -> Result<Vec<ReceivedMessage>, QueueError> {
        Err(QueueError::CountersOnly)
    }

    /// Deletes the message that was received with this receipt.
    ///
    /// # Errors
    /// When the receipt is unknown or out of date, or where there are no messages.
    fn delete(&self, _receipt: &str) -> Result<(), QueueError> {
        Err(QueueError::CountersOnly)
    }
}
