//! The words after `--`: the runner's own and those that cargo's users give to every
//! test binary at once.

use crate::need::Need;

/// What the caller wants of the runner.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Names or parts of names; none means all.
    pub(crate) filters: Vec<String>,
    /// Filters are whole names.
    pub(crate) exact: bool,
    /// Parts of names that are left out.
    pub(crate) without: Vec<String>,
    /// Only the names are printed.
    pub(crate) list: bool,
    /// The log of each case goes to standard error while it runs.
    pub(crate) verbose: bool,
}

impl Options {
    /// Reads the words; the error is a sentence for the caller.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--verbose" | "--nocapture" | "--no-capture" => options.verbose = true,
                "--skip" => {
                    options.without.push(words.next().ok_or("--skip needs a word")?.to_owned());
                }
                // Cases run one after the other and print little: nothing to change.
                "-q" | "--quiet" | "--show-output" => {}
                "--test-threads" | "--color" | "--format" => {
                    words.next().ok_or_else(|| format!("{word} needs a value"))?;
                }
                _ if ["--test-threads=", "--color=", "--format="]
                    .iter()
                    .any(|known| word.starts_with(known)) => {}
                _ if word.starts_with('-') => {
                    return Err(format!(
                        "unknown option {word}; known are --list, --exact, --skip WORD and --verbose"
                    ));
                }
                _ => options.filters.push(word.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether the case of this name was asked for, which for one that runs by hand takes
    /// its whole name.
    pub(crate) fn selects(&self, name: &str, by_hand: bool) -> bool {
        let whole = self.exact || by_hand;
        let meets = |word: &String| if whole { name == word } else { name.contains(word.as_str()) };
        ((self.filters.is_empty() && !by_hand) || self.filters.iter().any(meets))
            && !self.without.iter().any(meets)
    }
}

/// The needs of `LAB_REQUIRE`; a word that is no need is an error, so that a typing
/// mistake cannot let a skip pass.
pub(crate) fn required(value: &str) -> Result<Vec<Need>, String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            Need::ALL.into_iter().find(|need| need.name() == word).ok_or_else(|| {
                let known: Vec<_> = Need::ALL.iter().map(|need| need.name()).collect();
                format!("LAB_REQUIRE names {word:?}; known are {}", known.join(", "))
            })
        })
        .collect()
}
