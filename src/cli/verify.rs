//! `weft verify`: the chain of authorisation in words. What it says is what the judge of
//! the agent wrote down.

mod words;

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};

use super::failure::{Exit, Failure};
use super::output::{Output, counted};
use super::source::Source;
use crate::declare::policy::Difference;
use crate::sync::account::Entry;
use crate::sync::{Begin, Introduction, Judgement, Reason, Standing, Verified, account, judge};
use crate::validate::scope::Scopes;
use crate::value::ObjectId;

/// How many commits are shown to people where nobody says.
const SHOWN: usize = 200;

/// `weft verify`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The commit: an id, a branch or a tag. The one that is checked out, without this; on a
    /// node, the newest one that it fetched.
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// Begin above this commit, which is taken as it is.
    #[arg(long, value_name = "REV", conflicts_with = "introduction")]
    since: Option<String>,
    /// Begin at this commit, as a node that is introduced to it by the key that signed it.
    #[arg(long, value_name = "COMMIT")]
    introduction: Option<String>,
    /// Show all commits, not only the newest 200 and those that are refused.
    #[arg(long)]
    all: bool,
    /// A directory of the repository. The current one, without this.
    #[arg(long, short = 'C', value_name = "DIR")]
    directory: Option<Utf8PathBuf>,
}

/// Where judging begins: where somebody says, where the node's settings say, or at the
/// oldest commit that can be an introduction.
pub(super) fn begin(
    source: &Source,
    since: Option<&str>,
    introduction: Option<&str>,
) -> Result<Begin, Failure> {
    Ok(match (since, introduction, &source.node) {
        (Some(since), _, _) => Begin::Above(source.commit(Some(since))?),
        (None, Some(at), _) => Begin::At(source.commit(Some(at))?),
        (None, None, Some(node)) => Begin::Introduction(node.trust.introduction.clone()),
        (None, None, None) => Begin::Oldest,
    })
}

/// Judges, and says why.
pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let source = Source::open(root, arguments.directory.as_deref())?;
    let tip = source.commit(arguments.revision.as_deref())?;
    let (since, introduction) = (arguments.since.as_deref(), arguments.introduction.as_deref());
    let begin = begin(&source, since, introduction)?;
    let scopes = Scopes::default();
    let scopes = |difference: &Difference<'_>| scopes.judge(difference);
    let (store, now) = (source.store(), source.now);
    let account = account(store, tip, &begin, &source.revoked(), now, &scopes)
        .map_err(|error| source.unjudged(&error))?;
    // A node judges from the commit that it accepted last.
    let own = matches!(begin, Begin::Introduction(_));
    let anchored = source.node.as_ref().filter(|_| own);
    let anchored = anchored.and_then(|node| Some((&node.trust, node.anchor.as_ref()?)));
    let (judgement, anchor) = match anchored {
        Some((trust, anchor)) => {
            let judged = judge(store, tip, trust, Some(anchor), now, &scopes);
            (judged.map_err(|error| source.unjudged(&error))?, Some(anchor.record.commit))
        }
        None => (account.judgement, None),
    };
    let (entries, introduction) = (account.entries, account.introduction);
    let verdict = Verdict { tip, begin: &begin, anchor, judgement: &judgement, entries: &entries };
    let exit = verdict.exit();

    output.say(words::begins(&begin, introduction.as_ref(), &entries));
    let shown = shown(&entries, arguments.all);
    let left_out = entries.len() - shown.len();
    if left_out > 0 {
        output.say(format!(
            "\n{} not shown; `--all` shows all, and `--json` has them",
            if left_out == 1 {
                "1 commit is".to_owned()
            } else {
                format!("{left_out} commits are")
            }
        ));
    }
    for entry in shown {
        output.say(format!("\n{}", words::entry(entry, &begin, introduction.as_ref())));
    }
    output.say(format!("\n{}", verdict.text()));
    output.document(&json!({
        "ok": exit == Exit::Ok,
        "repository": source.path,
        "tip": tip,
        "begin": begins(&begin, introduction.as_ref()),
        "anchor": anchor,
        "standing": standing(judgement.standing),
        "accepted": judgement.accepted.as_ref().map(Verified::record),
        "refused": judgement.refused,
        "omitted": judgement.omitted,
        "remaining": judgement.remaining,
        "commits": entries,
    }));
    Ok(exit)
}

/// The commits that people see: the newest, and those that are refused for themselves.
fn shown(entries: &[Entry], all: bool) -> Vec<&Entry> {
    let first = if all { 0 } else { entries.len().saturating_sub(SHOWN) };
    let own = |entry: &Entry| {
        entry.refusal.as_ref().is_some_and(|refusal| refusal.code != Reason::OnRefused)
    };
    let shown = |(at, entry): &(usize, &Entry)| *at >= first || own(entry);
    entries.iter().enumerate().filter(shown).map(|(_, entry)| entry).collect()
}

fn begins(begin: &Begin, introduction: Option<&Introduction>) -> Json {
    match begin {
        Begin::Above(commit) => json!({ "since": commit }),
        _ => json!({ "introduction": introduction }),
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Current => "current",
        Standing::Behind => "behind",
        Standing::Advanced => "advanced",
        Standing::Refused => "refused",
    }
}

/// What the line comes to.
struct Verdict<'a> {
    tip: ObjectId,
    begin: &'a Begin,
    anchor: Option<ObjectId>,
    judgement: &'a Judgement,
    entries: &'a [Entry],
}

impl Verdict<'_> {
    fn exit(&self) -> Exit {
        let Judgement { standing, accepted, refused, remaining, .. } = self.judgement;
        let newest = accepted.as_ref().is_some_and(|found| found.record().commit == self.tip);
        // Above a commit that is taken as it is there may be nothing.
        let nothing = matches!(self.begin, Begin::Above(at) if *at == self.tip);
        match standing {
            _ if !refused.is_empty() => Exit::Refused,
            Standing::Behind | Standing::Current => Exit::Ok,
            _ if *remaining > 0 => Exit::Failed,
            _ if newest || nothing => Exit::Ok,
            _ => Exit::Refused,
        }
    }

    fn text(&self) -> String {
        let Judgement { standing, accepted, refused, remaining, .. } = self.judgement;
        let used = accepted.as_ref().map(|accepted| {
            let record = accepted.record();
            let (id, by) = (record.commit.short(), &record.signer);
            format!("commit {id} (sequence {}), signed by {by}", record.sequence)
        });
        let verdict = match (self.exit(), &used) {
            (Exit::Ok, Some(used)) if *standing == Standing::Behind => {
                format!("accepted: it is older than what this node accepted, {used}")
            }
            (Exit::Ok, Some(used)) => format!("accepted: {used}"),
            (Exit::Ok, None) => "nothing stands above the commit that is taken as it is".to_owned(),
            (Exit::Failed, used) => format!(
                "{remaining} commits were not judged, because more would have to be compared than one judgement may compare; {}",
                match used {
                    Some(used) => format!("accepted so far: {used}"),
                    None => "nothing is accepted so far".to_owned(),
                }
            ),
            (_, Some(used)) => {
                format!("refused, and nodes use the newest good one instead: {used}")
            }
            (_, None) if matches!(self.begin, Begin::Above(_)) && self.entries.len() > 1 => {
                "refused, and nothing above the commit that is taken as it is may be used"
                    .to_owned()
            }
            (_, None) => {
                "refused, and nothing of it may be used: nodes keep what they run".to_owned()
            }
        };
        let mut text = format!("Verdict: {verdict}.");
        if let Some(cause) = refused.first() {
            let _ = write!(text, "\n  {cause}");
            let is_told = |entry: &Entry| entry.refusal.as_ref() == Some(cause);
            if !self.entries.iter().any(is_told) {
                let _ = write!(text, "\n  = help: {}", cause.help);
            }
        }
        let others = (refused.len() + self.judgement.omitted).saturating_sub(1);
        if others > 0 {
            let _ = write!(
                text,
                "\n  {} more refused, most often for standing on it.",
                counted(others, "commit")
            );
        }
        if let Some(anchor) = self.anchor {
            let _ = write!(
                text,
                "\n  This node judges from commit {}, which it accepted last.",
                anchor.short()
            );
        }
        text
    }
}
