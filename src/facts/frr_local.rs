//! The node's own `/etc/frr/frr.conf.local`, statement by statement.
//!
//! What a line is depends on the line alone; where it goes depends on what is rendered, which
//! is decided above. The statements are those that the reference knows
//! (`pve-rendering.md` §2.5); what it would throw away is [`FrrLocal::dropped`].

use std::fmt;

/// The largest file that is taken, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The longest line that is taken, in bytes.
pub const MAX_LINE: usize = 4096;

/// The statements of a `frr.conf.local`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrrLocal<'a> {
    statements: Vec<Statement<'a>>,
    refused: Vec<(usize, Refusal)>,
}

/// One line that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its line, from 1.
    pub line: usize,
    /// Its text without white space at the end.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a line of a `frr.conf.local` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `router isis DOMAIN`.
    RouterIsis(&'a str),
    /// `router bgp ASN`, of a VRF or of the node itself.
    RouterBgp {
        /// The AS number as it is written.
        asn: &'a str,
        /// The VRF.
        vrf: Option<&'a str>,
    },
    /// Another `router`.
    Router,
    /// `vrf NAME`.
    Vrf(&'a str),
    /// `interface NAME`.
    Interface(&'a str),
    /// A community list, or an access or prefix list with `seq`: a line that stands alone.
    List,
    /// `address-family NAME`, such as `l2vpn evpn`.
    AddressFamily(&'a str),
    /// An entry of a route map, whose number counts for nothing.
    RouteMap {
        /// The route map.
        name: &'a str,
        /// What it does with what matches.
        action: Action,
    },
    /// `exit-address-family`.
    ExitAddressFamily,
    /// `exit` and everything that begins so.
    Exit,
    /// A line with a `!` in it: no statement, whatever else it holds.
    Comment,
    /// Anything else: belongs to the block that it stands in.
    Other,
}

/// What an entry of a route map does with what matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes it.
    Permit,
    /// Leaves it.
    Deny,
}

/// Why a line, or the whole file, is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file has more than [`MAX_BYTES`]; none of it is taken.
    TooLarge,
    /// The line has more than [`MAX_LINE`] bytes.
    TooLong,
    /// The line holds a control character other than a tab.
    ControlCharacter,
}

/// Reads a `frr.conf.local`. Takes any text.
pub fn parse(text: &str) -> FrrLocal<'_> {
    let mut local = FrrLocal::default();
    if text.len() > MAX_BYTES {
        local.refused.push((1, Refusal::TooLarge));
        return local;
    }
    for (line, text) in (1..).zip(text.split('\n')) {
        let text = text.trim_end_matches([' ', '\t', '\r', '\x0b', '\x0c']);
        if text.is_empty() {
            continue;
        }
        if text.len() > MAX_LINE {
            local.refused.push((line, Refusal::TooLong));
        } else if text.chars().any(|c| c.is_control() && c != '\t') {
            local.refused.push((line, Refusal::ControlCharacter));
        } else {
            local.statements.push(Statement { line, text, kind: kind(text) });
        }
    }
    local
}

impl<'a> FrrLocal<'a> {
    /// The statements, in their order.
    pub fn statements(&self) -> &[Statement<'a>] {
        &self.statements
    }

    /// The lines that are not taken, with their numbers from 1.
    pub fn refused(&self) -> impl Iterator<Item = (usize, Refusal)> {
        self.refused.iter().copied()
    }

    /// The lines that go nowhere, with their numbers from 1: those outside of every block that
    /// are no list, and those with a `!` that are more than a comment. Whatever is rendered,
    /// they are the same.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let mut in_block = false;
        self.statements.iter().filter_map(move |statement| {
            let is_dropped = match statement.kind {
                Kind::List => false,
                Kind::Exit => {
                    in_block = false;
                    false
                }
                Kind::Comment => true,
                Kind::Other => !in_block,
                _ => {
                    in_block = true;
                    false
                }
            };
            let says_something = !statement.text.trim_start().starts_with(['!', '#']);
            (is_dropped && says_something).then_some((statement.line, statement.text))
        })
    }
}

/// The order is the reference's: the first that fits decides.
fn kind(text: &str) -> Kind<'_> {
    let after = |head: &str| text.strip_prefix(head).filter(|rest| !rest.is_empty());
    if let Some(domain) = after("router isis ") {
        Kind::RouterIsis(domain)
    } else if let Some(router) = after("router bgp ").and_then(router_bgp) {
        router
    } else if after("router ").is_some() {
        Kind::Router
    } else if let Some(name) = after("vrf ") {
        Kind::Vrf(name)
    } else if let Some(name) = after("interface ") {
        Kind::Interface(name)
    } else if after("bgp community-list ").is_some() {
        Kind::List
    } else if let Some(name) = address_family(text) {
        Kind::AddressFamily(name)
    } else if let Some(route_map) = after("route-map ").and_then(route_map) {
        route_map
    } else if after("access-list ").is_some_and(|rest| is_numbered(rest, 1))
        || after("ip prefix-list ").is_some_and(|rest| is_numbered(rest, 0))
        || after("ipv6 prefix-list ").is_some_and(|rest| is_numbered(rest, 0))
    {
        Kind::List
    } else if text.ends_with("exit-address-family") {
        Kind::ExitAddressFamily
    } else if text.starts_with("exit") {
        Kind::Exit
    } else if text.contains('!') {
        Kind::Comment
    } else {
        Kind::Other
    }
}

fn router_bgp(rest: &str) -> Option<Kind<'_>> {
    let (asn, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let vrf = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(" vrf ").filter(|vrf| !vrf.is_empty())?),
    };
    (!asn.is_empty()).then_some(Kind::RouterBgp { asn, vrf })
}

fn address_family(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("address-family ")?;
    (!name.is_empty()).then_some(name)
}

/// `NAME permit|deny NUMBER…`, by the last action that a number follows.
fn route_map(rest: &str) -> Option<Kind<'_>> {
    let actions = [(" permit ", Action::Permit), (" deny ", Action::Deny)];
    let found = actions.into_iter().flat_map(|(word, action)| {
        rest.match_indices(word).filter_map(move |(at, _)| {
            let numbered = rest[at + word.len()..].starts_with(|c: char| c.is_ascii_digit());
            (at > 0 && numbered).then_some((at, action))
        })
    });
    let (at, action) = found.max_by_key(|(at, _)| *at)?;
    Some(Kind::RouteMap { name: &rest[..at], action })
}

/// `NAME seq NUMBER …` with at least so many characters behind the number and its space.
fn is_numbered(rest: &str, least: usize) -> bool {
    rest.match_indices(" seq ").any(|(at, word)| {
        let number = &rest[at + word.len()..];
        let behind = number.trim_start_matches(|c: char| c.is_ascii_digit());
        at > 0
            && behind.len() < number.len()
            && behind.strip_prefix(' ').is_some_and(|behind| behind.len() >= least)
    })
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the file has more than {MAX_BYTES} bytes"),
            Self::TooLong => write!(f, "the line has more than {MAX_LINE} bytes"),
            Self::ControlCharacter => f.write_str("the line holds a control character"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Kind<'_> {
        match parse(text).statements() {
            [statement] => statement.kind,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn what_a_line_is() {
        let bgp = |asn, vrf| Kind::RouterBgp { asn, vrf };
        let map = |name, action| Kind::RouteMap { name, action };
        for (text, kind) in [
            ("router isis a b", Kind::RouterIsis("a b")),
            ("router bgp 65000", bgp("65000", None)),
            ("router bgp 65000 vrf vrf_z", bgp("65000", Some("vrf_z"))),
            ("router bgp 65000 view 1", Kind::Router),
            ("router bgp  65000", Kind::Router),
            ("router bgp", Kind::Router),
            ("router", Kind::Other),
            (" router bgp 65000", Kind::Other),
            ("vrf v w  ", Kind::Vrf("v w")),
            ("interface eth0", Kind::Interface("eth0")),
            ("bgp community-list 70 deny", Kind::List),
            ("  address-family ipv6 unicast", Kind::AddressFamily("ipv6 unicast")),
            ("address-family", Kind::Other),
            ("route-map A permit 1", map("A", Action::Permit)),
            ("route-map A permit 1 deny 2x", map("A permit 1", Action::Deny)),
            ("route-map A permit", Kind::Other),
            ("route-map permit 1", Kind::Other),
            ("access-list f seq 5 permit any", Kind::List),
            ("access-list f seq 5", Kind::Other),
            ("access-list f permit any", Kind::Other),
            ("ip prefix-list p seq 5 permit ::/0", Kind::List),
            ("ip prefix-list p permit 10.0.0.0/8", Kind::Other),
            ("ipv6 prefix-list p seq 5 x!y", Kind::List),
            ("ipv6 access-list p seq 5 permit any", Kind::Other),
            (" exit-address-family\r", Kind::ExitAddressFamily),
            ("exit-vrf", Kind::Exit),
            ("exitus", Kind::Exit),
            (" exit", Kind::Other),
            ("!", Kind::Comment),
            (" description so!", Kind::Comment),
            ("\tfoo", Kind::Other),
        ] {
            assert_eq!(only(text), kind, "{text:?}");
        }
    }

    #[test]
    fn what_goes_nowhere_is_told_with_its_line() {
        let text = "! a comment\n# another\nip nht resolve-via-default\n\nrouter bgp 1\n no\n \
            description so!\nip prefix-list p permit 10.0.0.0/8\nexit\nlog file x\n   \nip \
            prefix-list p seq 5 permit 10.0.0.0/8\nip route 10.0.0.0/8 null0\n";
        let dropped: Vec<_> = parse(text).dropped().collect();
        assert_eq!(
            dropped,
            [
                (3, "ip nht resolve-via-default"),
                (7, " description so!"),
                (10, "log file x"),
                (13, "ip route 10.0.0.0/8 null0"),
            ]
        );
    }

    #[test]
    fn it_is_bounded() {
        let long = format!("vrf a\n {}\n\x1b[2J\n {}", "x".repeat(MAX_LINE), "x".repeat(9));
        let local = parse(&long);
        assert_eq!(local.statements().len(), 2);
        assert_eq!(
            local.refused().collect::<Vec<_>>(),
            [(2, Refusal::TooLong), (3, Refusal::ControlCharacter)]
        );
        let large = "x\n".repeat(MAX_BYTES);
        let local = parse(&large);
        assert!(local.statements().is_empty());
        assert_eq!(local.refused().collect::<Vec<_>>(), [(1, Refusal::TooLarge)]);
    }
}
