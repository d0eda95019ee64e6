//! A port that leads to another one until it is shut: an outage of a server for one client alone.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Gate {
    port: u16,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// An open gate on a free port.
    pub(crate) async fn to(target_port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gate = Self { port: listener.local_addr()?.port(), open: Arc::new(watch::Sender::new(true)) };
        tokio::spawn(serve(listener, target_port, gate.open.subscribe()));
        Ok(gate)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection, and closes new ones at once.
    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn serve(listener: TcpListener, target_port: u16, open: watch::Receiver<bool>) {
    while let Ok((mut incoming, _)) = listener.accept().await {
        let mut open = open.clone();
        if !*open.borrow_and_update() {
            continue;
        }
        tokio::spawn(async move {
            if let Ok(mut outgoing) = TcpStream::connect(("127.0.0.1", target_port)).await {
                tokio::select! {
                    _ = copy_bidirectional(&mut incoming, &mut outgoing) => {}
                    _ = open.wait_for(|open| !open) => {}
                }
            }
        });
    }
}
