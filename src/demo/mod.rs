//! The demo: a fulfilment centre on one machine, with no account and no cluster.
//!
//! The real server runs in-process and sees the centre only through its edges: an embedded queue
//! that speaks SQS's protocol and a store that speaks Prometheus's. A client that behaves as KEDA
//! and the HPA do asks the server over gRPC and scales the simulated workers. A page shows it live.

pub mod autoscaler;
pub mod centre;
pub mod cluster;
pub mod contenders;
pub mod day;
pub mod http_server;
pub mod memory_queue;
pub mod metrics_server;
pub mod page;
pub mod panel;
pub mod queue_server;
pub mod queue_view;
pub mod recorder;
pub mod run;
pub mod score;
pub mod standings;
pub mod terminal;
