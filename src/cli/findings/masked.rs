//! Lines of files as they may be shown: without what may be a secret.

/// Keys whose value is a URL.
const URLS: [&str; 1] = ["url"];
/// Keys of the settings whose value is a secret, or the path of a file that holds one.
const SECRETS: [&str; 12] = [
    "token",
    "password",
    "passphrase",
    "passphrase-file",
    "secret",
    "file",
    "key",
    // As people misspell them, which is when a line is shown.
    "apikey",
    "api-key",
    "pass",
    "passwd",
    "pwd",
];

/// A text whose bytes stay where they are, with `*` in place of whoever logs in by a URL, and,
/// in the settings of a node, of a secret that stands there itself. Paths of secrets are none.
pub(super) fn masked(text: &str, is_settings: bool) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        for (from, to) in hidden(line.trim_end_matches(['\r', '\n']), is_settings) {
            bytes[begin + from..begin + to].fill(b'*');
        }
        begin += line.len();
    }
    // Only whole characters were replaced, by ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The parts of a line that must not be seen.
fn hidden(line: &str, is_settings: bool) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    for (at, _) in line.match_indices("://") {
        let scheme =
            line[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+.-".contains(c));
        let quote = scheme.chars().next_back().filter(|c| matches!(c, '"' | '\''));
        parts.extend(login(line, at + 3, quote));
    }
    for (at, _) in line.match_indices(':') {
        let Some(value) = value_behind(line, at) else { continue };
        let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let start = key.rfind(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        let key = &key[start.map_or(0, |start| start + 1)..];
        let quote = line[value..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let begin = value + quote.map_or(0, char::len_utf8);
        let end = end_of(line, begin, quote).unwrap_or(line.len());
        if URLS.contains(&key) && !line[begin..end].contains("://") {
            parts.extend(login(line, begin, quote));
        }
        let is_path = matches!(line.as_bytes().get(begin), Some(b'/' | b'{' | b'['));
        if is_settings && SECRETS.contains(&key) && !is_path {
            // Of a value without quotes in braces the next key is seen.
            let end = match quote {
                None => line[begin..end].find([',', '}']).map_or(end, |length| begin + length),
                Some(_) => end,
            };
            parts.push((begin, end));
        }
    }
    parts
}

/// Where the value of a key begins whose colon stands at a place.
fn value_behind(line: &str, colon: usize) -> Option<usize> {
    let behind = &line[colon + 1..];
    let value = behind.trim_start();
    let is_value =
        !value.is_empty() && (value.len() < behind.len() || line[..colon].ends_with(['"', '\'']));
    is_value.then(|| line.len() - value.len())
}

/// Where the text in these quotes ends, if it does in this line; without quotes the line's end.
fn end_of(line: &str, begin: usize, quote: Option<char>) -> Option<usize> {
    let Some(quote) = quote else { return Some(line.len()) };
    let mut rest = line[begin..].char_indices().peekable();
    while let Some((index, c)) = rest.next() {
        let escapes = (c == '\\' && quote == '"')
            || (c == '\'' && quote == '\'' && rest.peek().is_some_and(|(_, next)| *next == '\''));
        if escapes {
            rest.next();
        } else if c == quote {
            return Some(begin + index);
        }
    }
    None
}

/// What may be a user and a password, where a host may follow them.
fn login(line: &str, begin: usize, quote: Option<char>) -> Option<(usize, usize)> {
    // Of a text that goes on in the next line it is not known where they end.
    let Some(end) = end_of(line, begin, quote) else { return Some((begin, line.len())) };
    line[begin..end].rfind('@').map(|at| (begin, begin + at))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn no_secret_is_seen_and_no_byte_moves() {
        for (line, shown) in [
            ("url: https://robot:hunter2@host/x", "url: https://*************@host/x"),
            (
                "- {name: o, url: \"https://a:b@host/x\", ca: c@d}",
                "- {name: o, url: \"https://***@host/x\", ca: c@d}",
            ),
            ("url: 'https://a:it''s@h@host/x'", "url: 'https://*********@host/x'"),
            ("url: \"https://a:b\\\"c@host/x\"", "url: \"https://******@host/x\""),
            ("url: \"robot:hunter2@host:x\"", "url: \"*************@host:x\""),
            ("url: robot:hun/ter2@host", "url: **************@host"),
            ("url: \"https://robot:hunter2", "url: \"https://*************"),
            ("url: https://pässwort@host", "url: https://*********@host"),
            (
                "forge: {type: token, token: glpat-1, user: n}",
                "forge: {type: token, token: *******, user: n}",
            ),
            (
                "  secret: \"hunter2, or so\" # the hook's",
                "  secret: \"**************\" # the hook's",
            ),
            ("  \"password\":\"hunter2\"", "  \"password\":\"*******\""),
            ("  {'token':'glpat-1'}", "  {'token':'*******'}"),
            ("  passwd: hunter2", "  passwd: *******"),
            ("  key: /etc/weft/leases.key", "  key: /etc/weft/leases.key"),
            ("cluster: small", "cluster: small"),
        ] {
            let seen = masked(line, true);
            assert_eq!((seen.as_str(), seen.len()), (shown, line.len()));
        }
        // In declarations a token is the name of a credential.
        assert_eq!(masked("token: nb-token\r\n", false), "token: nb-token\r\n");
        assert_eq!(masked("a\nurl: http://u@h\nb\n", false), "a\nurl: http://*@h\nb\n");
    }
}
