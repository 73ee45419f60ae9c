//! Questions to one daemon of FRR, over the socket that it has for FRR's own shell.
//!
//! The shell loads the commands of all daemons before it asks one, which takes hundreds of times
//! longer than the answer. On the socket a question ends with a zero byte, and an answer with
//! three of them and a byte that says how it went (`vtysh_read` in FRR's `lib/vty.c`, since
//! Quagga).

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::HostError;

/// Where each daemon that runs has its socket, `NAME.vty`.
const RUN: &str = "/run/frr";

/// The most bytes of an answer.
const MOST: usize = 64 << 20;

/// What the shell says first: some daemons answer nobody before it, such as bfdd.
const ENABLE: &str = "enable";

/// How an answer ends, but for its last byte.
const END: [u8; 3] = [0; 3];
/// The greatest last byte of an answer that is one: `CMD_WARNING`, as for an instance that is not
/// there. Beyond it the question was not understood (`lib/command.h`).
const WARNING: u8 = 1;

/// Where the socket of a daemon is.
fn path(daemon: &str) -> PathBuf {
    Path::new(RUN).join(format!("{daemon}.vty"))
}

/// Whether a daemon has its socket: one that never ran has none.
pub(super) fn is_there(daemon: &str) -> bool {
    path(daemon).exists()
}

/// What a daemon answers.
///
/// # Errors
///
/// Nobody listens, it does not answer in this time, it does not understand, or it says too much.
pub(super) fn ask(daemon: &str, question: &str, time: Duration) -> Result<Vec<u8>, HostError> {
    converse(&path(daemon), question, time).map_err(|error| {
        let message = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("does not answer `{question}` within {} s", time.as_secs())
            }
            ErrorKind::InvalidInput => format!("does not understand `{question}`"),
            _ => format!("cannot be asked `{question}`: {error}"),
        };
        HostError::Program { program: daemon.to_owned(), message }
    })
}

fn converse(path: &Path, question: &str, time: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + time;
    let mut stream = open(path, time)?;
    let mut run = |line: &str| {
        stream.write_all(line.as_bytes())?;
        stream.write_all(&[0])?;
        answer(&mut stream, end)
    };
    run(ENABLE)?;
    run(question)
}

/// A connection. Neither it nor what is written waits longer than this: others may wait already
/// for a daemon that hangs.
fn open(path: &Path, time: Duration) -> io::Result<UnixStream> {
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    setsockopt(&stream, SendTimeout, &TimeVal::milliseconds(milliseconds))?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(stream.into())
}

/// An answer without its end.
fn answer(stream: &mut UnixStream, end: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut part = vec![0; 64 << 10];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let length = match stream.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&part[..length]);
        // No text of FRR has a zero byte in it.
        if let Some((&status, rest)) = answer.split_last()
            && let Some(text) = rest.strip_suffix(&END)
        {
            let length = text.len();
            if status > WARNING {
                return Err(ErrorKind::InvalidInput.into());
            }
            answer.truncate(length);
            return Ok(answer);
        }
        if answer.len() > MOST {
            return Err(ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::{Duration, ErrorKind, converse, io};

    const TIME: Duration = Duration::from_millis(300);

    /// Asks one that answers with these parts, one after the other, and then hangs or goes.
    fn ask(parts: &'static [&'static [u8]], hangs: bool) -> io::Result<Vec<u8>> {
        let directory = tempfile::tempdir().expect("there is a directory");
        let path = directory.path().join("bgpd.vty");
        let listener = UnixListener::bind(&path).expect("it listens");
        let daemon = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("it is asked");
            let mut stream = BufReader::new(stream);
            let mut question = Vec::new();
            stream.read_until(0, &mut question).expect("the question ends");
            assert_eq!(question, b"enable\0");
            stream.get_mut().write_all(&[0; 4]).expect("it is heard");
            question.clear();
            stream.read_until(0, &mut question).expect("the question ends");
            assert_eq!(question, b"show it\0");
            for part in parts {
                stream.get_mut().write_all(part).expect("it is heard");
                thread::sleep(Duration::from_millis(20));
            }
            if hangs {
                thread::sleep(TIME * 2);
            }
        });
        let answer = converse(&path, "show it", TIME);
        daemon.join().expect("it did as it was told");
        answer
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        let said = |parts| ask(parts, true).map(|answer| String::from_utf8_lossy(&answer).into());
        let is = |parts, text: &str| assert_eq!(said(parts).ok(), Some(text.to_owned()));
        is(&[b"{}\n\0\0\0\0"], "{}\n");
        is(&[b"\0", b"\0\0", b"\0"], "");
        is(&[b"{\"a\":", b"1}\0\0", b"\0", b"\0"], "{\"a\":1}");
        is(&[b"% BGP instance not found\n\0\0\0\x01"], "% BGP instance not found\n");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let kind = |parts, hangs| ask(parts, hangs).expect_err("it is no answer").kind();
        assert_eq!(kind(&[b"% Unknown command\n\0\0\0\x02"], false), ErrorKind::InvalidInput);
        assert_eq!(kind(&[b"{}\n\0\0\0"], false), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[b"{}\n\0\0\0"], true), ErrorKind::WouldBlock);
        assert_eq!(kind(&[], true), ErrorKind::WouldBlock);
    }

    #[test]
    fn nobody_waits_for_one_that_accepts_nobody() {
        let directory = tempfile::tempdir().expect("there is a directory");
        let path = directory.path().join("bgpd.vty");
        let absent = converse(&path, "show it", TIME).expect_err("nobody is there");
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).expect("it listens");
        // What waits to be accepted stays there, as with a process that is stopped.
        let asks: Vec<_> = (0..200)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || converse(&path, "show it", TIME).map_err(|e| e.kind()))
            })
            .collect();
        for ask in asks {
            assert_eq!(ask.join().expect("it ends"), Err(ErrorKind::WouldBlock));
        }
        drop(listener);
        let gone = converse(&path, "show it", TIME).expect_err("nobody listens");
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
    }
}
