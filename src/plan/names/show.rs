//! Changes in words.

use std::fmt;

use super::{Counts, Edit, NameChange};

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, repaired, unchanged, of_others, ours: _ } = self;
        write!(
            f,
            "{added} to add, {removed} to remove, {repaired} to mend, {unchanged} unchanged"
        )?;
        if *of_others > 0 {
            write!(f, ", {of_others} there by somebody else")?;
        }
        Ok(())
    }
}

/// One line for each record, such as `+ web.example.org. A 10.0.0.5 (guest …)`.
impl fmt::Display for NameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        for edit in &self.edits {
            let Edit { kind, added, removed, adopted, switched_on, ttl, mark } = edit;
            for (content, holders) in added {
                let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
                writeln!(f, "+ {name} {kind} {content} ({})", holders.join(", "))?;
            }
            for content in removed {
                writeln!(f, "- {name} {kind} {content}")?;
            }
            for content in adopted {
                writeln!(f, "~ {name} {kind} {content}: taken over")?;
            }
            for content in switched_on {
                writeln!(f, "~ {name} {kind} {content}: switched on again")?;
            }
            if let Some((before, after)) = ttl {
                writeln!(f, "~ {name} {kind}: TTL {before} becomes {after}")?;
            }
            if *mark && added.is_empty() && removed.is_empty() && adopted.is_empty() {
                writeln!(f, "~ {name} {kind}: its mark is renewed")?;
            }
        }
        if self.edits.is_empty() {
            writeln!(f, "~ {name}: its mark is renewed")?;
        }
        Ok(())
    }
}
