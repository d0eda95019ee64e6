//! One small HTTP server on 127.0.0.1, bound at once and ended cleanly.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A port that is ours, before anything answers on it.
#[derive(Debug)]
pub struct BoundPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl BoundPort {
    /// Binds 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken or may not be used.
    pub async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is cancelled and the requests at work are answered.
    pub fn serve(self, router: Router, stop: CancellationToken) -> JoinHandle<std::io::Result<()>> {
        tokio::spawn(async move {
            axum::serve(self.listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        })
    }
}
