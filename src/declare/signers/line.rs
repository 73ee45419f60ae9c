//! One line of `allowed_signers`.

use std::ops::Range;

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use ssh_key::public::KeyData;

use super::key::{self, KeyError};
use super::{MAX_LINE_BYTES, Patterns, Signer};
use crate::declare::finding::{Code, Finding, Findings, suggestion};
use crate::value::{Place, Principal, Range32, RepoPath, Span};

/// What belongs into this place of the file and is not verified, beside certificates.
const UNVERIFIED: [&str; 2] = ["ssh-dss", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"];
const VERIFIED_HELP: &str = "signers have ed25519 keys, ECDSA keys, RSA keys of 3072 bits or \
                             more, or hardware keys (`sk-`); make one with `ssh-keygen -t \
                             ed25519`";
const CERTIFICATE_HELP: &str = "list the key of each person; a certificate authority could make \
                                signers that no reviewer has seen";
const OPTIONS: [&str; 4] = ["namespaces", "valid-after", "valid-before", "cert-authority"];

/// A line and where it stands.
pub(super) struct Line<'a> {
    pub(super) file: &'a RepoPath,
    /// From 1.
    pub(super) number: usize,
    /// The byte of the file with which it begins.
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

#[derive(Default)]
struct Options {
    namespaces: Option<Patterns>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// A finding was made and the line does not count.
struct Refused;

impl Line<'_> {
    /// The place of some bytes of this line.
    pub(super) fn place(&self, range: Range<usize>) -> Place {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let before = self.text.get(..range.start).unwrap_or_default().chars().count();
        let bytes = Range32 {
            start: narrow(self.offset + range.start),
            end: narrow(self.offset + range.end),
        };
        let span = Span { line: narrow(self.number), column: narrow(before + 1), bytes };
        Place { file: self.file.clone(), span }
    }

    /// The signer of this line. `None` for an empty line, a comment, and a line with
    /// findings.
    pub(super) fn read(&self, findings: &mut Findings) -> Option<Signer> {
        let start = self.blanks(0);
        if matches!(self.text.as_bytes().get(start), None | Some(b'#')) {
            return None;
        }
        self.signer(start, findings).ok()
    }

    fn signer(&self, start: usize, findings: &mut Findings) -> Result<Signer, Refused> {
        self.characters(findings)?;
        let principals = self.word(start);
        let names = self.principals(principals.clone(), findings);
        let mut next = self.quoted_word(self.blanks(principals.end));
        let mut options = Ok(Options::default());
        if self.is_options(next.clone()) {
            options = self.options(next.clone(), findings);
            next = self.word(self.blanks(next.end));
        }
        // Quotes that are not closed take the key with them; one finding is enough.
        let swallowed = options.is_err() && next.is_empty();
        let key = if swallowed { Err(Refused) } else { self.key(next, findings) };
        let ((names, literal), options, key) = (names?, options?, key?);
        let place = self.place(principals);
        if !literal {
            let message = "this key is nobody's: its principals are only patterns";
            findings.push(Finding::new(Code::SignerWithoutName, message, &place));
        }
        let Options { namespaces, valid_after, valid_before } = options;
        Ok(Signer { place, names, key, namespaces, valid_after, valid_before })
    }

    fn characters(&self, findings: &mut Findings) -> Result<(), Refused> {
        if self.text.len() > MAX_LINE_BYTES {
            let message = format!("the line is longer than {MAX_LINE_BYTES} bytes");
            findings.push(Finding::new(Code::TooLarge, message, &self.place(0..0)));
            return Err(Refused);
        }
        let control = |(_, c): &(usize, char)| c.is_control() && *c != '\t';
        let Some((at, found)) = self.text.char_indices().find(control) else {
            return Ok(());
        };
        let range = at..at + found.len_utf8();
        let message = format!("`{}` stands in the line", found.escape_debug());
        let help = match found {
            '\r' => "save the file with plain line ends (LF)",
            _ => "remove the control character",
        };
        Err(self.refuse(Code::BadSigner, message, range, help, findings))
    }

    /// The names spelled out and not negated, and whether there are any.
    fn principals(
        &self,
        range: Range<usize>,
        findings: &mut Findings,
    ) -> Result<(Vec<Principal>, bool), Refused> {
        let list = &self.text[range.clone()];
        let Some(patterns) = Patterns::read(list) else {
            let message = format!("`{}` is no list of principals", list.escape_debug());
            let help = "write names such as `alice@example.org`, separated by commas and without \
                        quotes and spaces";
            return Err(self.refuse(Code::BadSigner, message, range, help, findings));
        };
        let mut names = Vec::new();
        for literal in patterns.literals().filter(|literal| patterns.matches(literal)) {
            match literal.parse::<Principal>() {
                Ok(name) => names.push(name),
                Err(error) => {
                    let help = "write a name such as `alice@example.org`";
                    return Err(self.refuse(
                        Code::BadSigner,
                        error.to_string(),
                        range,
                        help,
                        findings,
                    ));
                }
            }
        }
        let literal = !names.is_empty();
        Ok((names, literal))
    }

    /// Whether the second word of the line is its options: they have a known name or
    /// a value, and no type of key has either.
    fn is_options(&self, range: Range<usize>) -> bool {
        let word = &self.text[range];
        word.contains(['=', '"', ',']) || OPTIONS.contains(&word.to_ascii_lowercase().as_str())
    }

    fn options(&self, range: Range<usize>, findings: &mut Findings) -> Result<Options, Refused> {
        let mut options = Options::default();
        let mut seen = Vec::new();
        let mut good = true;
        for part in self.parts(range.clone()) {
            good &= self.option(part, &mut seen, &mut options, findings).is_ok();
        }
        if !good {
            return Err(Refused);
        }
        if let (Some(after), Some(before)) = (options.valid_after, options.valid_before)
            && before <= after
        {
            let help = "a key is valid from `valid-after` to `valid-before`";
            let message = "the key is never valid: its `valid-before` is not behind its \
                           `valid-after`";
            return Err(self.refuse(Code::BadSigner, message, range, help, findings));
        }
        Ok(options)
    }

    fn option<'s>(
        &'s self,
        range: Range<usize>,
        seen: &mut Vec<&'s str>,
        options: &mut Options,
        findings: &mut Findings,
    ) -> Result<(), Refused> {
        let text = &self.text[range.clone()];
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        if !OPTIONS.contains(&name) {
            let message = format!("`{}` is no option of a signer", name.escape_debug());
            let help = suggestion(name, "options", OPTIONS[..3].iter().copied());
            let help = help.unwrap_or_default();
            return Err(self.refuse(Code::BadSigner, message, range, &help, findings));
        }
        if name == "cert-authority" {
            let message = "certificates are not accepted as signers";
            let help = CERTIFICATE_HELP;
            return Err(self.refuse(Code::SignerUnsupported, message, range, help, findings));
        }
        if seen.contains(&name) {
            let message = format!("`{name}` stands twice in the line");
            return Err(self.refuse(Code::BadSigner, message, range, "keep one of them", findings));
        }
        seen.push(name);
        let value = value
            .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
            .filter(|value| !value.is_empty() && !value.contains(['"', '\\']));
        let Some(value) = value else {
            let message = format!("`{name}` has no value in quotes");
            let help = format!("write `{name}=\"…\"`; ssh reads no other form");
            return Err(self.refuse(Code::BadSigner, message, range, &help, findings));
        };
        match name {
            "namespaces" => {
                let Some(patterns) = Patterns::read(value) else {
                    let message = format!("`{}` is no list of namespaces", value.escape_debug());
                    let help = "write `namespaces=\"git\"`";
                    return Err(self.refuse(Code::BadSigner, message, range, help, findings));
                };
                options.namespaces = Some(patterns);
            }
            "valid-after" => options.valid_after = Some(self.time(name, value, range, findings)?),
            _ => options.valid_before = Some(self.time(name, value, range, findings)?),
        }
        Ok(())
    }

    /// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, and `Z`.
    fn time(
        &self,
        name: &str,
        value: &str,
        range: Range<usize>,
        findings: &mut Findings,
    ) -> Result<Timestamp, Refused> {
        let zoned = value.strip_suffix('Z');
        let Some(time) = instant(zoned.unwrap_or(value)) else {
            let message = format!("`{}` is no time", value.escape_debug());
            let help = format!("write `{name}=\"20270131Z\"` or `{name}=\"20270131180000Z\"`");
            return Err(self.refuse(Code::BadSigner, message, range, &help, findings));
        };
        if zoned.is_none() {
            let message = format!("`{name}` is in the zone of whichever machine reads it");
            let help = format!("write it in UTC: `{name}=\"{value}Z\"`");
            return Err(self.refuse(Code::SignerTimeZone, message, range, &help, findings));
        }
        Ok(time)
    }

    fn key(&self, range: Range<usize>, findings: &mut Findings) -> Result<KeyData, Refused> {
        let kind = &self.text[range.clone()];
        if kind.is_empty() {
            let help = "a line is `PRINCIPAL [OPTIONS] TYPE KEY`; the type and the key stand in \
                        the signer's `.pub` file";
            return Err(self.refuse(Code::BadSigner, "the line has no key", range, help, findings));
        }
        let certificate = kind.ends_with("-cert-v01@openssh.com");
        if !key::TYPES.contains(&kind) && !UNVERIFIED.contains(&kind) && !certificate {
            let message = format!(
                "`{}` is neither an option nor a type of key",
                kind.escape_default().to_string().replace("\\\"", "\"")
            );
            let help = if kind.contains('=') {
                "join options by a comma without a space: `namespaces=\"git\",valid-before=\"20270101Z\"`"
            } else {
                VERIFIED_HELP
            };
            return Err(self.refuse(Code::BadSigner, message, range, help, findings));
        }
        let data = self.word(self.blanks(range.end));
        // The comment behind the key is not looked at, so that nothing in it can change what
        // is read. A type that is refused needs no key that can be read.
        let bytes = Base64::decode_vec(&self.text[data.clone()]).unwrap_or_default();
        key::read(kind, &bytes).map_err(|error| {
            let (code, range, help) = match error {
                KeyError::Malformed(_) => {
                    let help = "copy the type and the key from the signer's `.pub` file";
                    (Code::BadSigner, data, help)
                }
                KeyError::Certificate(_) => (Code::SignerUnsupported, range, CERTIFICATE_HELP),
                _ => (Code::SignerUnsupported, range, VERIFIED_HELP),
            };
            self.refuse(code, format!("{error} is not accepted"), range, help, findings)
        })
    }

    fn refuse(
        &self,
        code: Code,
        message: impl Into<String>,
        range: Range<usize>,
        help: &str,
        findings: &mut Findings,
    ) -> Refused {
        let finding = Finding::new(code, message, &self.place(range));
        findings.push(if help.is_empty() { finding } else { finding.help(help) });
        Refused
    }

    fn blanks(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        self.text.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    fn word(&self, from: usize) -> Range<usize> {
        let rest = &self.text[from..];
        from..from + rest.find([' ', '\t']).unwrap_or(rest.len())
    }

    /// A word in which blanks may stand between quotes.
    fn quoted_word(&self, from: usize) -> Range<usize> {
        let mut quoted = false;
        let end = self.text[from..].find(|c| {
            quoted ^= c == '"';
            !quoted && (c == ' ' || c == '\t')
        });
        from..end.map_or(self.text.len(), |end| from + end)
    }

    /// The parts of a range between the commas outside quotes.
    fn parts(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut quoted = false;
        let mut from = range.start;
        let mut parts = Vec::new();
        for (at, byte) in self.text[range.clone()].bytes().enumerate() {
            quoted ^= byte == b'"';
            if byte == b',' && !quoted {
                parts.push(from..range.start + at);
                from = range.start + at + 1;
            }
        }
        parts.push(from..range.end);
        parts
    }
}

/// The instant that 8, 12 or 14 digits name in UTC, later than the epoch: ssh takes
/// the epoch itself for "no bound".
fn instant(digits: &str) -> Option<Timestamp> {
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year = digits.get(..4)?.parse().ok()?;
    let field = |at: usize| digits.get(at..at + 2).map_or(Ok(0), str::parse::<i8>).ok();
    let (month, day) = (field(4)?, field(6)?);
    let time = civil::DateTime::new(year, month, day, field(8)?, field(10)?, field(12)?, 0).ok()?;
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}
