//! The status with which a web server answers.
//!
//! Only the first line of the answer is of interest, so nothing is used that could do more:
//! no redirect is followed, no body read, no proxy asked, no cookie kept.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use openssl::ssl::{SslConnector, SslMethod};

use super::Bound;
use super::check::connect;
use crate::value::HttpUrl;

/// The most bytes of an answer that are looked at.
const LONGEST: usize = 16 << 10;

/// The status of the final answer, if there is one in time.
pub(super) fn status(url: &HttpUrl, bound: Bound) -> Option<u16> {
    let endpoint = url.endpoint();
    let stream = connect(&endpoint.host, endpoint.port, bound)?;
    let mut stream = Bounded { stream, bound };
    if !url.is_secure() {
        return ask(&mut stream, url);
    }
    let connector = SslConnector::builder(SslMethod::tls_client()).ok()?.build();
    ask(&mut connector.connect(endpoint.host.as_str(), stream).ok()?, url)
}

fn ask(stream: &mut (impl Read + Write), url: &HttpUrl) -> Option<u16> {
    let (target, host) = (url.target(), url.authority());
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: weft\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    stream.flush().ok()?;
    let mut answer = Vec::new();
    let mut part = [0; 2048];
    while answer.len() < LONGEST {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        answer.extend(part.get(..read)?);
        match final_status(&answer) {
            Answer::Status(status) => return Some(status),
            Answer::Unfinished => {}
            Answer::Nonsense => return None,
        }
    }
    None
}

/// What an answer is so far.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    Unfinished,
    Nonsense,
}

/// Answers of 100 to 199 come before the final one (RFC 9110 §15.2).
fn final_status(mut answer: &[u8]) -> Answer {
    loop {
        let Some(end) = answer.windows(2).position(|two| two == b"\r\n") else {
            return Answer::Unfinished;
        };
        let line = answer.get(..end).unwrap_or_default();
        let Some(status) = status_of(line) else { return Answer::Nonsense };
        if status >= 200 {
            return Answer::Status(status);
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Answer::Unfinished;
        };
        answer = answer.get(end + 4..).unwrap_or_default();
    }
}

/// The status of a line such as `HTTP/1.1 200 OK` (RFC 9112 §4).
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, rest) = rest.split_at_checked(3)?;
    let is_end = rest.first().is_none_or(|byte| *byte == b' ');
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_end)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|status| is_number && (100..=599).contains(status))
}

/// A connection of which no call goes on when its time is over.
#[derive(Debug)]
struct Bounded {
    stream: TcpStream,
    bound: Bound,
}

impl Bounded {
    fn left(&self) -> io::Result<std::time::Duration> {
        self.bound.left().ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(into)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, final_status};

    #[test]
    fn the_first_line_of_the_final_answer_counts() {
        let read = |text: &str| final_status(text.as_bytes());
        for (text, answer) in [
            ("HTTP/1.1 200 OK\r\n", Answer::Status(200)),
            ("HTTP/1.0 404\r\nx", Answer::Status(404)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n", Answer::Status(204)),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 3", Answer::Unfinished),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n", Answer::Unfinished),
            ("HTTP/1.1 20", Answer::Unfinished),
            ("", Answer::Unfinished),
            ("HTTP/1.1 2000 OK\r\n", Answer::Nonsense),
            ("HTTP/1.1 +20 OK\r\n", Answer::Nonsense),
            ("HTTP/1.1 600 OK\r\n", Answer::Nonsense),
            ("HTTP/2 200\r\n", Answer::Nonsense),
            ("SSH-2.0-x\r\n", Answer::Nonsense),
        ] {
            assert_eq!(read(text), answer, "{text}");
        }
    }
}
