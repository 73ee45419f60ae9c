//! Connections, bounded in number, size and time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How many connections there may be at a time; more wait in the kernel.
pub const CONNECTIONS: usize = 64;
/// How long a connection may live, its header, its body and the answer included.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// The largest header of a request, in bytes.
pub const MAX_HEADER: usize = 16 << 10;
/// The most lines of a header.
const MAX_LINES: usize = 64;
/// How long to wait when the kernel gives no connection, such as for want of files.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers what comes to a listener, one request for each connection, until it is
/// dropped.
pub async fn on(listener: TcpListener, router: Router) -> Infallible {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    // Whoever is too slow is cut off without a word.
                    let _ = tokio::time::timeout(DEADLINE, answer(stream, router)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(DEADLINE)
        .max_header_size(MAX_HEADER)
        .max_headers(MAX_LINES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection broke");
    }
}
