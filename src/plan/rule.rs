//! Rules of iptables, as hooks of interfaces files add them.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `iptables`
    V4,
    /// `ip6tables`
    V6,
}

impl Family {
    /// The version of an address.
    pub const fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// What people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The program that changes the rules.
    pub const fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    /// The program that changes many rules at once.
    pub const fn restorer(self) -> &'static str {
        match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        }
    }
}

/// A table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// Of which version of IP.
    pub family: Family,
    /// Which table.
    pub name: TableName,
}

/// The tables that interfaces files put rules into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// Addresses are translated here.
    Nat,
    /// Before connections are tracked.
    Raw,
}

impl TableName {
    /// The word that iptables takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Raw => "raw",
        }
    }
}

/// One rule: its table, its chain, and the words that make it, in the form in which
/// `iptables-save` prints them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    table: Table,
    /// The chain, then the matches and the target.
    words: Vec<String>,
}

/// A text that is no rule of a form that can be added and found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a rule that can be found again")]
pub struct NotARule;

/// Where a command puts a rule. All three count as "it is there".
const ADDING: &[&str] = &["-A", "-I"];

impl Rule {
    /// The table it is in.
    pub const fn table(&self) -> Table {
        self.table
    }

    /// The chain, then the matches and the target.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The line of `iptables-restore(8)` that adds it, to the place where the interfaces file
    /// would. `None` where a word of it could be read as something else, such as another line.
    pub fn adding(&self) -> Option<String> {
        // As Proxmox writes them: what is tracked otherwise goes first.
        self.line(if self.table.name == TableName::Raw { "-I" } else { "-A" })
    }

    /// The line that removes one copy of it, likewise.
    pub fn removing(&self) -> Option<String> {
        self.line("-D")
    }

    fn line(&self, command: &str) -> Option<String> {
        let is_plain = self.words.iter().all(|word| !word.is_empty() && word.chars().all(is_plain));
        is_plain.then(|| format!("{command} {}\n", self.words.join(" ")))
    }

    /// A line of `iptables-save`, such as `-A POSTROUTING -s 10.0.0.0/24 …`; none for
    /// lines that are no rules.
    pub fn of_saved(table: Table, line: &str) -> Option<Self> {
        let rest = line.strip_prefix("-A ")?;
        Some(Self { table, words: rest.split_whitespace().map(str::to_owned).collect() })
    }
}

impl FromStr for Rule {
    type Err = NotARule;

    /// The command of a `post-up` line, such as
    /// `iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1`.
    fn from_str(text: &str) -> Result<Self, NotARule> {
        let mut words = text.split_whitespace();
        let family = match words.next() {
            Some("iptables") => Family::V4,
            Some("ip6tables") => Family::V6,
            _ => return Err(NotARule),
        };
        let name = match (words.next(), words.next()) {
            (Some("-t"), Some("nat")) => TableName::Nat,
            (Some("-t"), Some("raw")) => TableName::Raw,
            _ => return Err(NotARule),
        };
        if !words.next().is_some_and(|command| ADDING.contains(&command)) {
            return Err(NotARule);
        }
        let mut rule = Self { table: Table { family, name }, words: Vec::new() };
        for word in words {
            let word = unquoted(word).ok_or(NotARule)?;
            let previous = rule.words.last().map(String::as_str);
            let word = if matches!(previous, Some("-s" | "-d")) {
                let net: IpNet = word.parse().map_err(|_| NotARule)?;
                net.trunc().to_string()
            } else {
                word.to_owned()
            };
            rule.words.push(word);
        }
        if rule.words.first().is_none_or(|chain| chain.starts_with('-')) {
            return Err(NotARule);
        }
        Ok(rule)
    }
}

/// A word without the quotes around it; none where a shell would make more of it.
fn unquoted(word: &str) -> Option<&str> {
    let inner = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')).unwrap_or(word);
    (!inner.is_empty() && inner.chars().all(is_plain)).then_some(inner)
}

/// Whether a character means itself, to a shell and to `iptables-restore`.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.:/@+,=-".contains(c)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { family, name } = self.table;
        write!(f, "{} -t {} {}", family.program(), name.as_str(), self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Rule, Table, TableName};

    #[test]
    fn a_hook_and_what_is_saved_of_it_are_the_same_rule() {
        let nat = Table { family: Family::V4, name: TableName::Nat };
        let hook = "iptables -t nat -A POSTROUTING -s '10.0.0.7/24' -o vmbr0 -j SNAT --to-source 192.168.0.1";
        let saved = "-A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j SNAT --to-source 192.168.0.1";
        let rule: Rule = hook.parse().expect("a rule");
        assert_eq!(Rule::of_saved(nat, saved), Some(rule.clone()));
        assert_eq!(
            rule.removing().expect("plain"),
            "-D POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j SNAT --to-source 192.168.0.1\n"
        );
        let raw = Table { family: Family::V6, name: TableName::Raw };
        let hook = "ip6tables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1";
        let rule: Rule = hook.parse().expect("a rule");
        assert_eq!(
            Rule::of_saved(raw, "-A PREROUTING -i fwbr+ -j CT --zone 1"),
            Some(rule.clone())
        );
        assert_eq!(rule.adding().expect("plain"), "-I PREROUTING -i fwbr+ -j CT --zone 1\n");
        assert_eq!(Rule::of_saved(raw, ":PREROUTING ACCEPT [0:0]"), None);
    }

    #[test]
    fn what_could_be_another_line_is_no_line() {
        let nat = Table { family: Family::V4, name: TableName::Nat };
        for words in ["x\"y", "--comment \"a", "$(id)", "#"] {
            let rule = Rule::of_saved(nat, &format!("-A POSTROUTING {words} -j ACCEPT"));
            let rule = rule.expect("what is saved is read");
            assert_eq!((rule.adding(), rule.removing()), (None, None), "{words}");
        }
        let rule =
            Rule { table: nat, words: vec!["POSTROUTING".to_owned(), "a\nCOMMIT".to_owned()] };
        assert_eq!((rule.adding(), rule.removing()), (None, None));
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_no_rule() {
        for text in [
            "",
            "iptables",
            "iptables -t nat -D POSTROUTING -j ACCEPT",
            "iptables -t filter -A INPUT -j DROP",
            "iptables -t nat -A",
            "iptables -t nat -A -j",
            "iptables -t nat -A POSTROUTING -s 10.0.0.0/24; reboot",
            "iptables -t nat -A POSTROUTING -s $(id)",
            "iptables -t nat -A POSTROUTING -s nonsense -j ACCEPT",
            "nft add rule x",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
