//! What a server says, as far as it can be read.

use std::time::Duration;

use hyper::header::{self, HeaderMap};
use hyper::http::response::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Answer, HttpError};
use crate::value::Secret;

/// The most that is told on of a server's own words, in characters.
const LONGEST: usize = 300;

/// An answer, or why it is none.
pub(super) fn judge(head: &Parts, body: Vec<u8>, secret: &Secret) -> Result<Answer, HttpError> {
    let kind = text(&head.headers, header::CONTENT_TYPE);
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let status = head.status.as_u16();
    if head.status.is_success() {
        return Ok(Answer { status, kind, body });
    }
    let said = if head.status.is_redirection() {
        format!("it leads to `{}`, where nobody follows", text(&head.headers, header::LOCATION))
    } else {
        said(&kind, &body)
    };
    let said = if said.is_empty() {
        head.status.canonical_reason().unwrap_or("without a word").to_owned()
    } else {
        said
    };
    let retry_after = text(&head.headers, header::RETRY_AFTER).parse().ok();
    // A server may say what it was sent.
    let said = printable(&without(&said, secret));
    Err(HttpError::Refused { status, said, retry_after: retry_after.map(Duration::from_secs) })
}

/// The value in a body of JSON.
pub(super) fn json<T: DeserializeOwned>(answer: &Answer, secret: &Secret) -> Result<T, HttpError> {
    // What is wrong with an answer is said in its own words, too.
    let shown = |text: &str| printable(&without(text, secret));
    if answer.kind != "application/json" && !answer.kind.ends_with("+json") {
        let (kind, said) = (shown(&answer.kind), shown(&said(&answer.kind, &answer.body)));
        return Err(HttpError::Nonsense(format!("`{kind}` instead of JSON: {said}")));
    }
    serde_json::from_slice(&answer.body).map_err(|e| HttpError::Nonsense(shown(&e.to_string())))
}

/// The words in a body: the usual fields of errors in JSON, the title of a page, plain text.
fn said(kind: &str, body: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let mut named = ["error", "detail", "message"].into_iter().filter_map(|key| value.get(key));
        let words = named.find_map(Value::as_str);
        let errors = value.get("errors").map(|errors| format!(" {errors}"));
        return match words {
            Some(words) => format!("{words}{}", errors.unwrap_or_default()),
            None => value.to_string(),
        };
    }
    let head = body.get(..body.len().min(64 << 10)).unwrap_or_default();
    let text = String::from_utf8_lossy(head).into_owned();
    if kind == "text/html" || text.trim_start().starts_with('<') {
        let lower = text.to_ascii_lowercase();
        let title = lower.find("<title>").map(|at| at + "<title>".len());
        let title =
            title.and_then(|from| text.get(from..lower[from..].find('<').map(|to| from + to)?));
        return match title {
            Some(title) => format!("a web page, `{}`", title.trim()),
            None => "a web page".to_owned(),
        };
    }
    text
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value =
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_default()
}

fn without(said: &str, secret: &Secret) -> String {
    match secret.expose() {
        "" => said.to_owned(),
        // `Token SECRET` is no less secret without its first word.
        secret => {
            let last = secret.rsplit(' ').next().unwrap_or(secret);
            // As it is, and as JSON writes it.
            let forms = [secret, last].map(|form| (form, form.escape_default().to_string()));
            forms
                .iter()
                .filter(|(form, _)| !form.is_empty())
                .fold(said.to_owned(), |said, (form, escaped)| {
                    said.replace(form, "[masked]").replace(escaped, "[masked]")
                })
        }
    }
}

/// One line that a terminal and a log bear, of no more than [`LONGEST`] characters.
fn printable(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let visible = |c: char| if c.is_ascii() || c.is_alphanumeric() { c } else { '\u{fffd}' };
    let mut line: String = line.chars().map(visible).collect();
    if let Some((at, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(at);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;

    fn refused(status: u16, kind: &str, body: &str) -> String {
        let head = Response::builder().status(status).header("content-type", kind).body(());
        let head = head.unwrap().into_parts().0;
        let secret = Secret::new("Token hunter2".to_owned());
        judge(&head, body.as_bytes().to_vec(), &secret).unwrap_err().to_string()
    }

    #[test]
    fn the_words_of_a_server_reach_the_reader() {
        let json = "application/json";
        for (status, kind, body, says) in [
            (422, json, r#"{"error":"Name is out of zone"}"#, "answers 422: Name is out of zone"),
            (
                403,
                json,
                r#"{"detail":"Invalid token hunter2"}"#,
                "answers 403: Invalid token [masked]",
            ),
            (400, json, r#"{"prefix":["Duplicate"]}"#, r#"answers 400: {"prefix":["Duplicate"]}"#),
            (400, json, r#"{"detail":"1 of 2","errors":[3]}"#, "answers 400: 1 of 2 [3]"),
            (
                500,
                "text/plain",
                "Internal\r\nServer\x1b[31m Error",
                "answers 500: Internal Server [31m Error",
            ),
            (
                502,
                "text/html; charset=x",
                "<html><title>502 Bad\nGateway</title>",
                "answers 502: a web page, `502 Bad Gateway`",
            ),
            (502, "", "<!doctype html><h1>no", "answers 502: a web page"),
            (401, "", "", "answers 401: Unauthorized"),
            (302, "", "x", "answers 302: it leads to ``, where nobody follows"),
        ] {
            assert_eq!(refused(status, kind, body), says);
        }
        let long = refused(500, "text/plain", &"é\u{202e}".repeat(10_000));
        assert_eq!(long.chars().count(), "answers 500: ".len() + LONGEST + 1);
        assert!(!long.contains('\u{202e}'));
    }

    #[test]
    fn json_is_said_to_be_json_and_is() {
        let answer = |kind: &str, body: &str| {
            let answer = Answer { status: 200, kind: kind.to_owned(), body: body.into() };
            let secret = Secret::new("Token hunter2".to_owned());
            json::<Vec<u8>>(&answer, &secret).map_err(|error| error.to_string())
        };
        assert_eq!(answer("application/json", "[1, 2]"), Ok(vec![1, 2]));
        for (kind, body, says) in [
            ("application/json", "[1, 2", "EOF"),
            ("application/json", "[1, 2] x", "trailing characters"),
            ("application/json", "[1, \"2\"]", "invalid type"),
            ("text/html", "<title>Log in</title>", "a web page, `Log in`"),
            ("", "[1, 2]", "instead of JSON"),
            ("text/plain", "you said Token hunter2", "you said [masked]"),
            ("hunter2", "[]", "`[masked]` instead of JSON"),
            ("application/json", "[\"hunter2\"]", "string \"[masked]\""),
        ] {
            let said = answer(kind, body).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
