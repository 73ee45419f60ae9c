//! The one client of HTTP.
//!
//! One connection for each request, no redirect, no proxy, no cookies, nothing of the
//! environment. The credential is sent to the server of the URL alone, after it has proven
//! who it is.

mod answer;
mod tls;

use std::pin::pin;
use std::thread;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use self::tls::Tls;
pub use self::tls::Trust;
use crate::value::{HttpUrl, Secret};

/// The most header fields of an answer.
const MOST_HEADERS: usize = 100;
/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// The most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;

/// How much a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The time for a connection, TLS included.
    pub connect: Duration,
    /// The time for a request as a whole.
    pub request: Duration,
    /// The largest body of an answer, in bytes.
    pub body: usize,
    /// How often a request is sent that may be repeated.
    pub attempts: u32,
    /// The time before the first repetition; doubled before each further one.
    pub pause: Duration,
    /// The longest time that a server may ask to wait before a repetition.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            body: 32 << 20,
            attempts: 4,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(30),
        }
    }
}

/// A header that lets in.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The name of the header in lower case, such as `x-api-key`.
    pub header: &'static str,
    /// Its value.
    pub value: Secret,
}

/// Why a request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Nothing can be asked with these settings.
    #[error("{0}")]
    Unusable(String),
    /// The server cannot be reached. Nothing was asked.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server does not prove that it is the right one. Nothing was asked.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
    /// The connection ended early. What was asked may have been done.
    #[error("the connection ended before the answer did: {0}")]
    Lost(String),
    /// There was no answer in time. What was asked may have been done.
    #[error("no whole answer in {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The answer is larger than it may be.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// The server refuses.
    #[error("answers {status}: {said}")]
    Refused {
        /// The status, of 300 and more.
        status: u16,
        /// Its own words, cut and made printable.
        said: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what it should be.
    #[error("answers what cannot be read: {0}")]
    Nonsense(String),
}

impl HttpError {
    /// Whether the same may go well later, without anybody doing anything about it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::TooSlow(_) | Self::Nonsense(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Unusable(_) | Self::Certificate(_) | Self::TooLarge(_) => false,
        }
    }

    /// How long to wait before another attempt, by what the server asks or else `pause`;
    /// `None` where no further attempt helps, or it asks for more than `patience`.
    pub fn wait(&self, pause: Duration, patience: Duration) -> Option<Duration> {
        let asked = match self {
            Self::Refused { retry_after, .. } => retry_after.unwrap_or(pause),
            _ => pause,
        };
        (self.may_pass() && asked <= patience).then_some(asked.max(pause))
    }
}

/// What a server answers with a status of 200 to 299.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type in lower case, without parameters; empty where none is said.
    pub kind: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    /// Taken only when the client is dropped.
    runtime: Option<Runtime>,
    url: HttpUrl,
    tls: Option<Tls>,
    credential: Credential,
    bounds: Bounds,
}

impl Client {
    /// A client of the server of a URL, below whose path it asks.
    ///
    /// # Errors
    /// What is said of trust or the credential cannot be used, or a server without TLS would
    /// have to be held to a fingerprint.
    pub fn new(
        url: HttpUrl,
        trust: &Trust,
        credential: Credential,
        bounds: Bounds,
    ) -> Result<Self, HttpError> {
        let tls = match (url.is_secure(), trust) {
            (true, trust) => Some(Tls::new(trust)?),
            (false, Trust::Pinned(_)) => {
                let why = "a fingerprint is set, and the URL begins with `http:`, where no certificate is shown";
                return Err(HttpError::Unusable(why.to_owned()));
            }
            (false, _) => None,
        };
        if HeaderValue::from_str(credential.value.expose()).is_err() {
            let why = "the credential is no line of text that can be sent";
            return Err(HttpError::Unusable(why.to_owned()));
        }
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| HttpError::Unusable(format!("no runtime: {e}")))?;
        Ok(Self { runtime: Some(runtime), url, tls, credential, bounds })
    }

    /// How much the server may take.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Reads something, again where that may help: nothing is changed by it.
    ///
    /// # Errors
    /// The last attempt has no good answer.
    pub fn read<T: DeserializeOwned>(&self, target: &str) -> Result<T, HttpError> {
        let mut pause = self.bounds.pause;
        for _ in 1..self.bounds.attempts {
            let error = match self.read_once(target) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(wait) = error.wait(pause, self.bounds.patience) else { return Err(error) };
            thread::sleep(wait);
            pause *= 2;
        }
        self.read_once(target)
    }

    fn read_once<T: DeserializeOwned>(&self, target: &str) -> Result<T, HttpError> {
        let answer = self.send(&Method::GET, target, None)?;
        answer::json(&answer, &self.credential.value)
    }

    /// Asks once. `target` is appended to the URL's path, and begins with `/` or `?`; `json`
    /// is the body.
    ///
    /// # Errors
    /// There is no answer with a status of 200 to 299 within the bounds. Whether something
    /// was done is then known only of [`HttpError::Unusable`], [`HttpError::Unreachable`]
    /// and [`HttpError::Certificate`].
    ///
    /// # Panics
    /// Within an asynchronous task, which must not block.
    pub fn send(
        &self,
        method: &Method,
        target: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, HttpError> {
        self.send_if(method, target, json, None)
    }

    /// As [`Client::send`], and the server is to do it only if what it has still matches
    /// `version` (RFC 9110 §13.1.1).
    ///
    /// # Panics
    /// Within an asynchronous task, which must not block.
    pub fn send_if(
        &self,
        method: &Method,
        target: &str,
        json: Option<Vec<u8>>,
        version: Option<&str>,
    ) -> Result<Answer, HttpError> {
        let mut request = self.request(method, target, json)?;
        if let Some(version) = version {
            let value = HeaderValue::from_str(version);
            let value = value.map_err(|e| HttpError::Unusable(format!("cannot be asked: {e}")))?;
            request.headers_mut().insert(header::IF_MATCH, value);
        }
        let whole = self.bounds.request;
        let exchange = async { timeout(whole, self.exchange(request)).await };
        let runtime = self.runtime.as_ref().expect("it is taken only when the client is dropped");
        runtime.block_on(exchange).unwrap_or(Err(HttpError::TooSlow(whole)))
    }

    fn request(
        &self,
        method: &Method,
        target: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let unusable =
            |e: &dyn std::fmt::Display| HttpError::Unusable(format!("cannot be asked: {e}"));
        let name = HeaderName::from_static(self.credential.header);
        let mut value =
            HeaderValue::from_str(self.credential.value.expose()).map_err(|e| unusable(&e))?;
        value.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.url.target().trim_end_matches('/')))
            .header(header::HOST, self.url.authority())
            .header(header::USER_AGENT, "weft")
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .header(name, value);
        let request = match json {
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                request.body(Full::new(Bytes::from(body)))
            }
            None => request.body(Full::new(Bytes::new())),
        };
        request.map_err(|e| unusable(&e))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        match &self.tls {
            None => {
                let stream = self.in_time(self.connect()).await?;
                self.talk(stream, request).await
            }
            Some(tls) => {
                let host = self.url.endpoint().host.as_str();
                let secure = async { tls.connect(host, self.connect().await?).await };
                let stream = self.in_time(secure).await?;
                self.talk(stream, request).await
            }
        }
    }

    /// A connection, if there is one in time.
    async fn in_time<S>(
        &self,
        connection: impl Future<Output = Result<S, HttpError>>,
    ) -> Result<S, HttpError> {
        let time = self.bounds.connect;
        let late = HttpError::Unreachable(format!("no connection in {} s", time.as_secs_f32()));
        timeout(time, connection).await.unwrap_or(Err(late))
    }

    async fn connect(&self) -> Result<TcpStream, HttpError> {
        let endpoint = self.url.endpoint();
        let unreachable = |e: &dyn std::fmt::Display| HttpError::Unreachable(e.to_string());
        let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
        let addresses: Vec<_> =
            addresses.map_err(|e| unreachable(&e))?.take(MOST_ADDRESSES).collect();
        let mut error = unreachable(&"the name has no address");
        // An address that is silent leaves time for the others.
        let each = self.bounds.connect / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for address in addresses {
            match timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(e)) => error = unreachable(&format!("{address}: {e}")),
                Err(_) => error = unreachable(&format!("{address}: no answer")),
            }
        }
        Err(error)
    }

    async fn talk<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Answer, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = http1::Builder::new();
        builder.max_headers(MOST_HEADERS).max_buf_size(LARGEST_HEAD);
        let (mut sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
        let mut connection = pin!(connection);
        let mut answer = pin!(async {
            let response = sender.send_request(request).await.map_err(|e| lost(&e))?;
            self.receive(response).await
        });
        let mut is_open = true;
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                // What was received before the end is still to be read.
                _ = &mut connection, if is_open => is_open = false,
            }
        }
    }

    async fn receive(&self, response: Response<Incoming>) -> Result<Answer, HttpError> {
        let limit = self.bounds.body;
        let (head, mut incoming) = response.into_parts();
        let expected = incoming.size_hint().upper().unwrap_or(0);
        let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(limit).min(limit));
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(|e| lost(&e))?.into_data() else { continue };
            if body.len() + data.len() > limit {
                return Err(HttpError::TooLarge(limit));
            }
            body.extend_from_slice(&data);
        }
        answer::judge(&head, body, &self.credential.value)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A search for a name that nobody answers is not waited for.
            runtime.shutdown_background();
        }
    }
}

fn lost(error: &hyper::Error) -> HttpError {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    // hyper could not read the answer; it was sent all the same.
    if error.is_parse() { HttpError::Nonsense(text) } else { HttpError::Lost(text) }
}
