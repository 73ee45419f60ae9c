//! Lists of objects, read in full or not at all.

use serde::Deserialize;

use super::row::{Kind, Row};
use crate::reconcile::http::{Client, HttpError};

/// The most objects of one page. A server may give fewer.
const PAGE: usize = 500;
/// The most objects of one list.
const MOST: usize = 200_000;
/// How often a list is read again that changed while it was read.
const TRIES: usize = 5;

#[derive(Deserialize)]
struct Page {
    count: Option<usize>,
    /// Named by every server, so that what somebody in between made up is no last page.
    #[serde(deserialize_with = "Option::deserialize")]
    next: Option<String>,
    results: Vec<Row>,
}

/// Reads all objects of a kind that a filter lets through, each once, in the order of their
/// numbers. The server's own links to further pages are not followed: behind a proxy they may
/// lead elsewhere, and a server that does not know how to go on from a number would say the
/// first page for ever.
pub(super) fn all(
    client: &Client,
    kind: Kind,
    filter: &str,
    has_cursor: bool,
    mut keep: impl FnMut(Row) -> Result<(), HttpError>,
) -> Result<(), HttpError> {
    let target = format!("{}?{filter}&fields={}&limit={PAGE}", kind.path(), kind.fields());
    if has_cursor {
        let mut walk = Walk::default();
        loop {
            let page: Page = client.read(&format!("{target}&start={}", walk.last + 1))?;
            let is_last = page.next.is_none() || page.results.is_empty();
            for row in walk.checked(page.results)? {
                keep(row)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
    for _ in 0..TRIES {
        if let Some(rows) = by_offset(client, &target)? {
            return rows.into_iter().try_for_each(keep);
        }
    }
    Err(HttpError::Nonsense(format!("{} changed each time while they were read", kind.path())))
}

/// The rows, if the list did not change while it was read: whatever is removed from a page
/// before would move another past the reader.
fn by_offset(client: &Client, target: &str) -> Result<Option<Vec<Row>>, HttpError> {
    let (mut walk, mut rows, mut count) = (Walk::default(), Vec::new(), None);
    loop {
        let page: Page = client.read(&format!("{target}&ordering=id&offset={}", rows.len()))?;
        if *count.get_or_insert(page.count) != page.count {
            return Ok(None);
        }
        let is_last = page.next.is_none() || page.results.is_empty();
        rows.extend(walk.checked(page.results)?);
        if is_last {
            return Ok((count.flatten() == Some(rows.len())).then_some(rows));
        }
    }
}

#[derive(Default)]
struct Walk {
    last: u64,
    read: usize,
}

impl Walk {
    fn checked(&mut self, rows: Vec<Row>) -> Result<Vec<Row>, HttpError> {
        self.read += rows.len();
        if self.read > MOST {
            return Err(HttpError::Nonsense(format!("more than {MOST} objects")));
        }
        for row in &rows {
            if row.id <= self.last {
                let said = format!("object {} after object {}", row.id, self.last);
                return Err(HttpError::Nonsense(said));
            }
            self.last = row.id;
        }
        Ok(rows)
    }
}
