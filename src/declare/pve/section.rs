//! Section config as it is read: `TYPE: ID`, then a line for each key, to the next
//! empty line (`pve-ondisk.md` §1 and §2).

use super::kind::Dialect;
use super::{Damage, bounded};

/// The most sections of a file.
pub const MAX_SECTIONS: usize = 200_000;
/// The longest line, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// One section as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The type, in its own case.
    pub kind: String,
    /// The id.
    pub id: String,
    /// The line of the header, from 1.
    pub line: u32,
    /// The keys in the order of the file; one may stand in several lines.
    pub properties: Vec<Property>,
}

/// One line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key.
    pub key: String,
    /// What stands behind it, without white space at its ends.
    pub value: Option<String>,
    /// The line, from 1.
    pub line: u32,
}

/// A file as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// The sections in the order of the file.
    pub sections: Vec<Section>,
    /// The lines that Proxmox skips, and why.
    pub skipped: Vec<(u32, &'static str)>,
    /// The lines of comments, which Proxmox removes when it writes the file.
    pub comments: Vec<u32>,
}

/// Reads a file of section config. `file` is its name, for what is said of it.
/// What the dialect skips is skipped and listed; what it refuses is damage, and so
/// is what no Proxmox has written: control characters, lines and files without end.
pub fn read(file: &str, text: &str, dialect: Dialect) -> Result<Sections, Damage> {
    bounded(file, text)?;
    let mut read = Sections::default();
    let mut open: Option<Section> = None;
    for (number, line) in (1_u32..).zip(text.split('\n')) {
        if line.len() > MAX_LINE_BYTES {
            let what = format!("a line of more than {MAX_LINE_BYTES} bytes");
            return Err(Damage::new(file, Some(number), what));
        }
        // Proxmox does not take a carriage return for the end of a line.
        if line.trim_end_matches('\r').chars().any(|c| c.is_control() && c != '\t') {
            return Err(Damage::new(file, Some(number), "a control character"));
        }
        let blank = line.trim().is_empty();
        if line.trim_start().starts_with('#') {
            read.comments.push(number);
        } else if line.is_empty() || line == "0" || blank && dialect == Dialect::Rust {
            read.sections.extend(open.take());
        } else if let Some(section) = &mut open {
            match property(line, number) {
                Some(property) => section.properties.push(property),
                None if blank => {}
                None => {
                    let why = if header(line, number).is_some() {
                        "a section begins without an empty line before it"
                    } else {
                        "not a line `KEY VALUE` that begins with white space"
                    };
                    skip(file, &mut read, number, why, dialect)?;
                }
            }
        } else if let Some(section) = header(line, number) {
            if read.sections.len() >= MAX_SECTIONS {
                let what = format!("more than {MAX_SECTIONS} sections");
                return Err(Damage::new(file, Some(number), what));
            }
            open = Some(section);
        } else if !blank {
            skip(file, &mut read, number, "neither `TYPE: ID` nor within a section", dialect)?;
        }
    }
    read.sections.extend(open);
    Ok(read)
}

fn skip(
    file: &str,
    read: &mut Sections,
    line: u32,
    why: &'static str,
    dialect: Dialect,
) -> Result<(), Damage> {
    match dialect {
        Dialect::Rust => Err(Damage::new(file, Some(line), why)),
        Dialect::Perl => {
            read.skipped.push((line, why));
            Ok(())
        }
    }
}

/// `TYPE: ID`. The type ends at the last colon that leaves one word behind it.
fn header(line: &str, number: u32) -> Option<Section> {
    let line = line.trim_end();
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let first = line.split(char::is_whitespace).next()?;
    let (kind, id) = match first.strip_suffix(':') {
        Some(kind) if first.len() < line.len() => (kind, line[first.len()..].trim_start()),
        // Nothing between the colon and the id.
        _ if first.len() == line.len() => line.rsplit_once(':').filter(|(_, id)| !id.is_empty())?,
        _ => return None,
    };
    let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    (word(kind) && word(id)).then(|| Section {
        kind: kind.to_owned(),
        id: id.to_owned(),
        line: number,
        properties: Vec::new(),
    })
}

/// White space, a key, and what stands behind it.
fn property(line: &str, number: u32) -> Option<Property> {
    if !line.starts_with(char::is_whitespace) {
        return None;
    }
    let line = line.trim();
    let (key, value) = match line.split_once(char::is_whitespace) {
        Some((key, value)) => (key, Some(value.trim_start().to_owned())),
        None => (line, None),
    };
    (!key.is_empty()).then(|| Property { key: key.to_owned(), value, line: number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn perl(text: &str) -> Sections {
        read("zones.cfg", text, Dialect::Perl).unwrap()
    }

    /// A section by type and id, and its keys with their values.
    type Shape<'a> = (String, Vec<(&'a str, Option<&'a str>)>);

    fn shape(sections: &Sections) -> Vec<Shape<'_>> {
        let mut shapes = Vec::new();
        for Section { kind, id, properties, .. } in &sections.sections {
            let lines = properties.iter();
            let lines = lines.map(|line| (line.key.as_str(), line.value.as_deref()));
            shapes.push((format!("{kind}/{id}"), lines.collect()));
        }
        shapes
    }

    proptest! {
        /// Nothing stops the reader, and no line of a text is lost or read twice.
        #[test]
        fn every_line_has_one_place(text in "([a-z#]{0,3}:? ?[a-z0]{0,2}\n|\t[a-z]{1,2}( [a-z ]{0,4})?\n|\n|\\PC{0,8}\n){0,12}") {
            for dialect in [Dialect::Perl, Dialect::Rust] {
                let Ok(read) = read("x.cfg", &text, dialect) else { continue };
                let mut lines: Vec<u32> = read.comments.clone();
                lines.extend(read.skipped.iter().map(|(line, _)| *line));
                for section in &read.sections {
                    lines.push(section.line);
                    lines.extend(section.properties.iter().map(|property| property.line));
                }
                lines.sort_unstable();
                let said = (1..).zip(text.split('\n'));
                let said = said.filter(|(_, line)| !line.trim().is_empty() && *line != "0");
                prop_assert_eq!(lines, said.map(|(number, _)| number).collect::<Vec<u32>>());
            }
        }
    }

    #[test]
    fn what_perl_reads_is_read_as_perl_reads_it() {
        let text = "# a comment\nevpn: z1\n\tcontroller ctl\n  # another\n    rt-import \t 1:2, 3:4  \n\tflag\n\nvnet:v1\n\n\nvnet: v2\r\n\tzone z1\r\n0\nx:y:z\n";
        let read = perl(text);
        assert_eq!(
            shape(&read),
            [
                (
                    "evpn/z1".to_owned(),
                    vec![
                        ("controller", Some("ctl")),
                        ("rt-import", Some("1:2, 3:4")),
                        ("flag", None)
                    ]
                ),
                ("vnet/v1".to_owned(), vec![]),
                ("vnet/v2".to_owned(), vec![("zone", Some("z1"))]),
                ("x:y/z".to_owned(), vec![]),
            ]
        );
        assert_eq!(read.comments, [1, 4]);
        assert_eq!(read.skipped, []);
        assert_eq!(read.sections[2].line, 11);
    }

    #[test]
    fn what_perl_skips_is_listed() {
        let read =
            perl("stray\n\tkey value\nsimple: a\nsimple: b\n\tmtu 1400\n \nnonsense here\n\n");
        assert_eq!(shape(&read), [("simple/a".to_owned(), vec![("mtu", Some("1400"))])]);
        let lines: Vec<u32> = read.skipped.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4, 7]);
        assert!(read.skipped[2].1.contains("without an empty line"));
    }

    #[test]
    fn what_rust_refuses_is_damage() {
        let read = |text| super::read("fabrics.cfg", text, Dialect::Rust);
        assert_eq!(
            read("ospf_fabric: a\n\tarea 0\n \nospf_fabric: b\n").unwrap().sections.len(),
            2
        );
        for (text, line) in [("ospf_fabric: a\nospf_fabric: b\n", 2), ("\tarea 0\n", 1), ("x", 1)] {
            assert_eq!(read(text).unwrap_err().line, Some(line), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_damage() {
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        for (text, line) in [("a: b\n\tx \u{7}\n", 2), (long.as_str(), 1), ("a\u{0}: b", 1)] {
            let damage = read("zones.cfg", text, Dialect::Perl).unwrap_err();
            assert_eq!(damage.line, Some(line));
            assert!(damage.to_string().starts_with(&format!("zones.cfg:{line}: ")));
        }
        let huge = "\n".repeat(super::super::MAX_BYTES + 1);
        assert!(read("zones.cfg", &huge, Dialect::Perl).unwrap_err().line.is_none());
    }
}
