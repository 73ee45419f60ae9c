//! What says that a record is ours.
//!
//! Where a server keeps comments, a comment of the account `weft` on the set names the
//! cluster and its records: `cluster lab: 10.0.0.5 10.0.0.6`. Where it keeps none, TXT
//! records beside the name say the same: at `⟨cluster⟩._weft.⟨name⟩` one for each of our
//! records, with the four strings `"weft1" "⟨cluster⟩" "⟨type⟩" "⟨content⟩"`. That name is
//! below the marked one, so no CNAME, PTR or TXT of others is in its way; no host can have
//! it for its `_`; and each cluster has its own, so two on one zone do not write the same
//! set. Both are always read; one of them is written.

use std::collections::{BTreeMap, BTreeSet};

use super::{Comment, Found, Fqdn, Record, RecordKind, Rrset};
use crate::value::ClusterName;

/// The account of our comments.
pub const ACCOUNT: &str = "weft";
/// Version of the form of the TXT records.
const FORM: &str = "weft1";
/// The label below which marks are.
const LABEL: &str = "_weft";

/// What is ours at one name: contents by type.
pub(super) type Marked = BTreeMap<RecordKind, BTreeSet<String>>;

/// Where marks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In comments.
    Comments,
    /// In TXT records, where the server keeps no comments.
    Text,
}

impl Way {
    /// The way that a zone was marked: comments, unless it holds marks in TXT records and no
    /// comment at all.
    pub fn of(found: &Found, cluster: &ClusterName) -> Self {
        let sets = || found.names.values().flat_map(BTreeMap::values);
        let has_comments = sets().any(|set| !set.comments.is_empty());
        let is_mark = |name: &Fqdn| marked_name(name, cluster).is_some();
        if !has_comments && found.names.keys().any(is_mark) { Self::Text } else { Self::Comments }
    }
}

impl Found {
    /// Whether TXT records at a name may be marks, of whichever cluster.
    pub fn may_mark(name: &Fqdn) -> bool {
        name.labels().nth(1) == Some(LABEL)
    }

    /// The names that must be read for the marks of a name to be known: itself, and where the
    /// TXT records of these clusters are.
    pub fn names_for<'a>(
        name: &Fqdn,
        clusters: impl Iterator<Item = &'a ClusterName>,
    ) -> impl Iterator<Item = Fqdn> {
        let marks = clusters.filter_map(|cluster| name_of_marks(name, cluster));
        std::iter::once(name.clone()).chain(marks)
    }

    /// The clusters that have marked something in TXT records.
    pub fn clusters(&self) -> BTreeSet<ClusterName> {
        let texts = self.names.values().filter_map(|sets| sets.get(&RecordKind::Txt));
        let records = texts.flat_map(|set| &set.records);
        let named = records.filter_map(|record| read_text(&record.content)?.0.parse().ok());
        named.collect()
    }
}

/// The name of the TXT records that mark a name; `None` where DNS cannot hold it.
pub(super) fn name_of_marks(name: &Fqdn, cluster: &ClusterName) -> Option<Fqdn> {
    Fqdn::below(&format!("{cluster}.{LABEL}"), name)
}

/// The name that TXT records of a cluster at this name would mark.
pub(super) fn marked_name(name: &Fqdn, cluster: &ClusterName) -> Option<Fqdn> {
    let (own, rest) = name.as_str().split_once('.')?;
    let (label, marked) = rest.split_once('.')?;
    let is_mark = own.eq_ignore_ascii_case(cluster.as_str()) && label == LABEL;
    is_mark.then(|| Fqdn::read(marked)).flatten()
}

/// What the marks at a name say is a cluster's, whichever way.
pub(super) fn marked(found: &Found, name: &Fqdn, cluster: &ClusterName) -> Marked {
    let mut marked = Marked::new();
    for (kind, set) in found.names.get(name).into_iter().flatten() {
        for comment in &set.comments {
            marked
                .entry(*kind)
                .or_default()
                .extend(in_comment(comment, cluster).into_iter().flatten());
        }
    }
    let text = name_of_marks(name, cluster).and_then(|at| found.rrset(&at, RecordKind::Txt));
    for record in text.into_iter().flat_map(|set| &set.records) {
        if let Some((kind, content)) = in_text(&record.content, cluster) {
            marked.entry(kind).or_default().insert(content);
        }
    }
    marked.retain(|_, contents| !contents.is_empty());
    marked
}

/// What the marks of other clusters say is theirs: names, types and contents.
pub(super) fn of_others(
    found: &Found,
    cluster: &ClusterName,
) -> BTreeSet<(Fqdn, RecordKind, String)> {
    let mut others = BTreeSet::new();
    for (name, sets) in &found.names {
        for (kind, set) in sets {
            let comments = set.comments.iter().filter_map(read_comment);
            for (_, contents) in comments.filter(|(of, _)| *of != cluster.as_str()) {
                others.extend(contents.map(|one| (name.clone(), *kind, one.to_owned())));
            }
        }
        let marked = name.as_str().splitn(3, '.').nth(2).filter(|_| Found::may_mark(name));
        let marked = marked.and_then(Fqdn::read);
        let texts = sets.get(&RecordKind::Txt).into_iter().flat_map(|set| &set.records);
        for (of, kind, content) in texts.filter_map(|record| read_text(&record.content)) {
            let marked = marked.clone().filter(|_| of != cluster.as_str());
            others.extend(marked.map(|marked| (marked, kind, content.to_owned())));
        }
    }
    others
}

/// What a comment says is a cluster's; `None` where it is no mark of it.
pub(super) fn in_comment(comment: &Comment, cluster: &ClusterName) -> Option<BTreeSet<String>> {
    let (of, contents) = read_comment(comment)?;
    (of == cluster.as_str()).then(|| contents.map(str::to_owned).collect())
}

/// The cluster and the contents that a comment names, if it is a mark.
fn read_comment(comment: &Comment) -> Option<(&str, impl Iterator<Item = &str>)> {
    let said = comment.content.strip_prefix("cluster ").filter(|_| comment.account == ACCOUNT)?;
    let (of, contents) = said.split_once(':')?;
    Some((of, contents.split_ascii_whitespace()))
}

/// The comment that marks these contents of a set.
pub(super) fn comment(contents: &BTreeSet<String>, cluster: &ClusterName) -> Comment {
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let content = format!("cluster {cluster}: {}", contents.join(" "));
    Comment { content, account: ACCOUNT.to_owned(), modified_at: None }
}

/// What a TXT record says is a cluster's; `None` where it is no mark of it.
pub(super) fn in_text(content: &str, cluster: &ClusterName) -> Option<(RecordKind, String)> {
    let (of, kind, content) = read_text(content)?;
    (of == cluster.as_str()).then(|| (kind, content.to_owned()))
}

/// The cluster, the type and the content that a TXT record names, if it is a mark.
fn read_text(content: &str) -> Option<(&str, RecordKind, &str)> {
    let strings = content.strip_prefix('"')?.strip_suffix('"')?;
    let strings: Vec<&str> = strings.split("\" \"").collect();
    let [FORM, of, kind, content] = strings.as_slice() else { return None };
    let kind = RecordKind::of(kind).filter(|kind| RecordKind::REGISTERED.contains(kind))?;
    Some((of, kind, content))
}

/// The TXT records that mark these contents, in their order.
pub(super) fn texts(marked: &Marked, cluster: &ClusterName) -> Vec<Record> {
    let text = |kind: RecordKind, content: &String| Record {
        content: format!("\"{FORM}\" \"{cluster}\" \"{kind}\" \"{content}\""),
        disabled: false,
    };
    let all =
        marked.iter().flat_map(|(kind, contents)| contents.iter().map(move |one| (*kind, one)));
    all.map(|(kind, content)| text(kind, content)).collect()
}

/// The records of a set of marks that are not a cluster's.
pub(super) fn others_texts(set: &Rrset, cluster: &ClusterName) -> Vec<Record> {
    let others = set.records.iter().filter(|one| in_text(&one.content, cluster).is_none());
    others.cloned().collect()
}
