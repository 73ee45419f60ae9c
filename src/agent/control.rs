//! The agent's own socket: `weft sync` beside a running agent asks it for a turn, and
//! waits for its end.
//!
//! One line goes in, one of [`Ask`]'s words; one line comes out, an [`Answer`] as
//! JSON. Only root and the agent's own user are answered. Programs may ask for addresses:
//!
//! ```text
//! leases
//! allocate GUEST VNET MAC [ADDRESS]
//! ```

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::condition::Condition;
use super::hand::{Counter, Wish};
use super::turn::Purpose;
use crate::host::{self, HostError};
use crate::value::Digest;

/// Where the socket lies on a node.
pub const SOCKET: &str = "/run/weft/socket";
/// Who may open the socket; who may ask is decided for each connection.
pub const MODE: u32 = 0o660;
/// How many may ask at a time.
const CONNECTIONS: usize = 16;
/// The longest line that is read, in bytes: the longest request has the name of a guest, a
/// hardware address and an address.
const MAX_LINE: u64 = 256;
/// How long somebody who connected may take to say what they want, and to take the
/// answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// What may be asked of a running agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To make a turn, and to say what came of it.
    Turn {
        /// Which.
        purpose: Purpose,
        /// Whether only a person confirms what it applies.
        manual: bool,
    },
    /// To say how it is.
    Status,
    /// To say who holds which address, as the node read it last.
    Leases,
    /// To give an interface its addresses.
    Allocate(Wish),
}

impl Ask {
    /// The line on the socket.
    pub fn line(&self) -> String {
        let (purpose, manual) = match self {
            Self::Turn { purpose, manual } => (*purpose, *manual),
            Self::Status => return STATUS.to_owned(),
            Self::Leases => return LEASES.to_owned(),
            Self::Allocate(wish) => return format!("{ALLOCATE} {wish}"),
        };
        let word = match purpose {
            Purpose::Sync => "poll".to_owned(),
            Purpose::Refresh => "refresh".to_owned(),
            Purpose::Plan => "plan".to_owned(),
            // Nobody asks for it: the agent watches by itself.
            Purpose::Watch => "watch".to_owned(),
            Purpose::RollBack { generation: None } => ROLLBACK.to_owned(),
            Purpose::RollBack { generation: Some(number) } => format!("{ROLLBACK} {number}"),
            Purpose::Adopt { shown } => format!("{ADOPT} {shown}"),
        };
        if manual { format!("{word}{MANUAL}") } else { word }
    }

    fn read(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == STATUS => return Some(Self::Status),
            None if line == LEASES => return Some(Self::Leases),
            Some((ALLOCATE, wish)) => return Wish::read(wish).map(Self::Allocate),
            _ => {}
        }
        let (line, manual) = match line.strip_suffix(MANUAL) {
            Some(line) => (line, true),
            None => (line, false),
        };
        let purpose = match line.split_once(' ') {
            None => match line {
                "poll" => Purpose::Sync,
                "refresh" => Purpose::Refresh,
                "plan" => Purpose::Plan,
                ROLLBACK => Purpose::RollBack { generation: None },
                _ => return None,
            },
            Some((ROLLBACK, number)) => {
                Purpose::RollBack { generation: Some(number.parse().ok()?) }
            }
            Some((ADOPT, shown)) => {
                Purpose::Adopt { shown: Digest::try_from(shown.to_owned()).ok()? }
            }
            Some(_) => return None,
        };
        Some(Self::Turn { purpose, manual })
    }
}

/// Asks how the agent is.
const STATUS: &str = "status";
/// Asks who holds which address.
const LEASES: &str = "leases";
/// Stands before who should have an address.
const ALLOCATE: &str = "allocate";
/// Stands before the digest of the plan by which a node is taken over.
const ADOPT: &str = "adopt";
/// Stands before the number of a generation.
const ROLLBACK: &str = "rollback";
/// Stands behind what only a person is to confirm.
const MANUAL: &str = " manual";

/// What came of it, in the words that the program would have printed itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How the program ends.
    pub exit: u8,
    /// Whether this is why nothing came of it.
    pub failed: bool,
    /// For people.
    pub text: String,
    /// For programs.
    pub document: serde_json::Value,
}

impl Answer {
    /// Why nothing came of it.
    pub fn failure(message: &str) -> Self {
        Self {
            exit: 1,
            failed: true,
            text: format!("error: {message}"),
            document: serde_json::json!({ "error": message, "exit": 1 }),
        }
    }
}

/// Why a running agent gave no answer.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The socket cannot be used.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The connection broke.
    #[error("the agent ended, or was ended, before its turn did")]
    Broken(#[source] std::io::Error),
    /// The agent is of another version.
    #[error("the running agent gave an answer that this version of weft does not understand")]
    Strange(#[source] serde_json::Error),
}

/// Asks the agent that listens at a whole path of this machine, and waits for as long
/// as it takes. `None` when no agent listens there.
pub fn ask(path: &Utf8Path, ask: &Ask) -> Result<Option<Answer>, ControlError> {
    let Some(mut stream) = host::connect(path)? else { return Ok(None) };
    stream.write_all(format!("{}\n", ask.line()).as_bytes()).map_err(ControlError::Broken)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(ControlError::Broken)?;
    if answer.is_empty() {
        return Err(ControlError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&answer).map(Some).map_err(ControlError::Strange)
}

/// Somebody who waits for a turn.
#[derive(Debug)]
pub(super) struct Asked {
    /// The turn.
    pub(super) purpose: Purpose,
    /// Whether only a person confirms what it applies.
    pub(super) manual: bool,
    /// Where the answer goes.
    pub(super) reply: oneshot::Sender<Answer>,
}

/// What is answered from.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    /// Who knows of addresses.
    pub(super) counter: Arc<dyn Counter>,
    /// Where requests for turns go.
    pub(super) asks: mpsc::Sender<Asked>,
    /// The agent as it is.
    pub(super) condition: watch::Receiver<Arc<Condition>>,
    /// Dropped when the last answer was sent.
    pub(super) busy: mpsc::Sender<()>,
}

/// Answers what comes to the socket.
pub(super) async fn answer(listener: UnixListener, desk: Desk) {
    let own = nix::unistd::geteuid().as_raw();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    converse(stream, desk, own).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to `{SOCKET}`");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, desk: Desk, own: u32) {
    let user = stream.peer_cred().map(|peer| peer.uid());
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // Also of those who are refused: what is left unread would cost them the answer.
    let mut bounded = (&mut stream).take(MAX_LINE);
    match tokio::time::timeout(PATIENCE, bounded.read_line(&mut line)).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return,
    }
    let answer = match user {
        Ok(user) if user == 0 || user == own => answer_to(line.trim_end(), &desk).await,
        Ok(_) | Err(_) => Answer::failure("only root may ask the agent"),
    };
    let Ok(mut bytes) = serde_json::to_vec(&answer) else { return };
    bytes.push(b'\n');
    // Whoever asked may have gone.
    let _ = tokio::time::timeout(PATIENCE, stream.write_all(&bytes)).await;
    let _ = stream.shutdown().await;
    drop(desk.busy);
}

async fn answer_to(line: &str, desk: &Desk) -> Answer {
    match Ask::read(line) {
        None => Answer::failure("the running agent does not know this request"),
        Some(Ask::Status) => {
            let condition = Arc::clone(&desk.condition.borrow());
            let document = serde_json::to_value(&*condition).unwrap_or_default();
            Answer { exit: 0, failed: false, text: condition.message.clone(), document }
        }
        Some(Ask::Leases) => desk.counter.leases(),
        Some(Ask::Allocate(wish)) => {
            let counter = Arc::clone(&desk.counter);
            let (reply, answer) = oneshot::channel();
            // Not the runtime's: an agent that ends waits for no server of leases.
            let give = move || drop(reply.send(counter.give(&wish)));
            match std::thread::Builder::new().name("allocate".to_owned()).spawn(give) {
                Ok(_) => answer.await.unwrap_or_else(|_| Answer::failure("it broke down")),
                Err(error) => Answer::failure(&format!("no thread: {error}")),
            }
        }
        Some(Ask::Turn { purpose, manual }) => {
            let (reply, answer) = oneshot::channel();
            let gone = || Answer::failure("the agent ends and begins no turn");
            match desk.asks.send(Asked { purpose, manual, reply }).await {
                Ok(()) => answer.await.unwrap_or_else(|_| gone()),
                Err(_) => gone(),
            }
        }
    }
}
