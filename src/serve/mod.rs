//! Floor 10: what others may ask of the agent over HTTP.
//!
//! Everything here reads what the agent says of itself, except a webhook, whose only
//! effect is one early poll. Knows no host and no git, and believes nothing of what a
//! webhook says beyond that it is one.

mod delivery;
mod listen;
mod proof;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use delivery::{Deliveries, REMEMBERED};
pub use listen::{CONNECTIONS, DEADLINE, MAX_HEADER, on};
pub use proof::{SKEW, proves};
pub use webhook::MAX_BODY;

use crate::agent::Handle;
use crate::agent::metrics;

/// How long until an address that could not be had is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What every request is answered from.
#[derive(Clone, Debug)]
struct Shared {
    agent: Handle,
    deliveries: Arc<Deliveries>,
}

/// Listens where the settings say, for as long as they say it. An address that cannot
/// be had is tried again: polls go on without.
pub async fn keep(agent: Handle) {
    let router = router(agent.clone());
    let mut listening = agent.listening.clone();
    loop {
        let address = listening.borrow_and_update().address;
        let served = async {
            let Some(address) = address else { return std::future::pending().await };
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    tracing::info!(%address, "answering HTTP");
                    on(listener, router.clone()).await;
                }
                Err(error) => {
                    tracing::warn!(%address, %error, "cannot listen; webhooks do not arrive");
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        };
        let moved = async {
            while listening.changed().await.is_ok() {
                if listening.borrow_and_update().address != address {
                    return;
                }
            }
            // The agent is gone; so is the program, soon.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = served => {}
            () = moved => {}
        }
    }
}

/// Everything that is answered.
pub fn router(agent: Handle) -> Router {
    Router::new()
        .route("/hook/{name}", post(webhook::take))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .route("/status", get(status))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Shared { agent, deliveries: Arc::default() })
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    let condition = Arc::clone(&shared.agent.condition.borrow());
    let code = if condition.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{}\n", condition.message))
}

async fn numbers(State(shared): State<Shared>) -> Response {
    let text = shared.agent.metrics.text(shared.agent.now());
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn status(State(shared): State<Shared>) -> Response {
    let condition = Arc::clone(&shared.agent.condition.borrow());
    match serde_json::to_string_pretty(&*condition) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the condition cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
