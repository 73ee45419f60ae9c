//! The paths that a source file names, wherever they stand: in `use` trees, in
//! expressions and types, in macro calls and in strings of attributes.
//!
//! Works on tokens and not on syntax, so that nothing hides in a macro. What is
//! behind `#[cfg(test)]` does not count.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Ident, LexError, TokenStream, TokenTree};

/// A path that a file names, from `crate` or from a crate's name as far as the
/// file tells. The last part is `*` in a glob import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// What a file says about other files.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) named: Vec<Named>,
    /// The modules that it declares at its top.
    pub(super) modules: Vec<String>,
    /// Lines of what would blind this reader: `extern crate`, `#[path = …]`.
    pub(super) blinding: Vec<usize>,
    /// Lines of `use`.
    pub(super) imports: Vec<usize>,
    /// Methods and fields that are named behind a dot.
    pub(super) methods: Vec<(usize, String)>,
}

/// Reads the file that is the module `module`, such as `["plan", "step"]`.
pub(super) fn read(module: &[&str], text: &str) -> Result<Names, LexError> {
    let tokens = trees(text.parse()?);
    let module: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
    let mut reader = Reader::default();
    if !is_test_file(&tokens) {
        reader.walk(&tokens, &module, true);
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    names: Names,
    /// What each name that a `use` brings in stands for. One map for the whole file,
    /// so a name may stand for several paths, and all of them count.
    stands_for: BTreeMap<String, Vec<Vec<String>>>,
}

impl Reader {
    fn walk(&mut self, tokens: &[TokenTree], module: &[String], top: bool) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at = match token {
                TokenTree::Punct(_) => match attribute(tokens, at) {
                    Some((attribute, next)) => {
                        self.attribute(&attribute, module);
                        if is_cfg_test(&attribute) { item_end(tokens, next) } else { next }
                    }
                    None => at + 1,
                },
                TokenTree::Ident(word) if word == "extern" && is_word(tokens, at + 1, "crate") => {
                    self.names.blinding.push(word.span().start().line);
                    at + 2
                }
                TokenTree::Ident(word) if word == "mod" => self.module(tokens, at, module, top),
                TokenTree::Ident(word) if word == "use" => {
                    self.names.imports.push(word.span().start().line);
                    self.paths(tokens, at + 1, module, true)
                }
                TokenTree::Ident(word) => {
                    if at > 0 && is_mark(tokens, at - 1, '.') {
                        self.names.methods.push((word.span().start().line, plain(word)));
                    }
                    self.paths(tokens, at, module, false)
                }
                TokenTree::Group(group) => {
                    self.walk(&trees(group.stream()), module, false);
                    at + 1
                }
                TokenTree::Literal(_) => at + 1,
            };
        }
    }

    /// `mod name;` or `mod name { … }`. Returns where to go on.
    fn module(&mut self, tokens: &[TokenTree], at: usize, module: &[String], top: bool) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else { return at + 1 };
        if top {
            self.names.modules.push(plain(name));
        }
        let Some(TokenTree::Group(body)) = tokens.get(at + 2) else { return at + 2 };
        let inner: Vec<String> = module.iter().cloned().chain([plain(name)]).collect();
        self.walk(&trees(body.stream()), &inner, false);
        at + 3
    }

    /// A path of an expression or type, or a whole `use` tree. Returns where to go on.
    fn paths(
        &mut self,
        tokens: &[TokenTree],
        start: usize,
        module: &[String],
        imported: bool,
    ) -> usize {
        let line = tokens.get(start).map_or(0, |token| token.span().start().line);
        let mut found = Vec::new();
        let end = branches(tokens, start, &[], imported, &mut found);
        for (written, name) in found {
            let path = absolute(&written, module);
            if imported {
                let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
                self.stands_for.entry(name).or_default().push(path.clone());
            } else if path.len() < 2 {
                continue;
            }
            self.names.named.push(Named { line, path });
        }
        end
    }

    fn attribute(&mut self, attribute: &[TokenTree], module: &[String]) {
        if !is_word(attribute, 0, "doc") {
            self.walk(attribute, module, false);
            self.strings(attribute, module);
        }
    }

    /// Paths may stand in strings of attributes, such as serde's `with = "…"`.
    fn strings(&mut self, attribute: &[TokenTree], module: &[String]) {
        for (at, token) in attribute.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "path" && is_mark(attribute, at + 1, '=') => {
                    self.names.blinding.push(word.span().start().line);
                }
                TokenTree::Group(group) => self.strings(&trees(group.stream()), module),
                TokenTree::Literal(literal) => {
                    let line = literal.span().start().line;
                    let inner = literal.to_string().trim_matches('"').parse().unwrap_or_default();
                    let before = self.names.named.len();
                    self.walk(&trees(inner), module, false);
                    self.names.named.iter_mut().skip(before).for_each(|named| named.line = line);
                }
                _ => {}
            }
        }
    }

    /// Adds what the first word of a path stands for, when a `use` brought it in.
    fn finish(mut self) -> Names {
        let mut named = std::mem::take(&mut self.names.named);
        let mut at = 0;
        while let Some(Named { line, path }) = named.get(at).cloned() {
            at += 1;
            let (first, rest) = path.split_first().expect("no path is empty");
            // A name that stands for itself would go on for ever.
            if first == "crate" || path.len() > 32 {
                continue;
            }
            for start in self.stands_for.get(first).into_iter().flatten() {
                let longer = Named { line, path: [start.as_slice(), rest].concat() };
                if !named.contains(&longer) {
                    named.push(longer);
                }
            }
        }
        named.sort();
        named.dedup();
        Names { named, ..self.names }
    }
}

/// A path written in the source, and the name that `as` gives it.
type Branch = (Vec<String>, Option<String>);

/// Every path of the `use` tree that begins at `at`; an expression is a tree of one
/// branch. Returns where to go on.
fn branches(
    tokens: &[TokenTree],
    mut at: usize,
    before: &[String],
    imported: bool,
    found: &mut Vec<Branch>,
) -> usize {
    let mut path = before.to_vec();
    if is_colons(tokens, at) {
        at += 2;
    }
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => path.push(plain(word)),
            Some(TokenTree::Punct(mark)) if mark.as_char() == '*' => path.push("*".to_owned()),
            Some(TokenTree::Group(group)) if imported => {
                for branch in trees(group.stream()).split(|token| is(token, ',')) {
                    branches(branch, 0, &path, imported, found);
                }
                return at + 1;
            }
            _ => return at,
        }
        at += 1;
        let goes_on = match tokens.get(at + 2) {
            Some(TokenTree::Ident(_)) => true,
            Some(TokenTree::Group(_)) => imported,
            Some(TokenTree::Punct(mark)) => imported && mark.as_char() == '*',
            _ => false,
        };
        if !(is_colons(tokens, at) && goes_on) {
            break;
        }
        at += 2;
    }
    let mut name = None;
    if let (true, Some(TokenTree::Ident(word))) = (is_word(tokens, at, "as"), tokens.get(at + 1))
        && imported
    {
        name = Some(plain(word));
        at += 2;
    }
    found.push((path, name));
    at
}

/// The path from `crate` for one that begins with `crate`, `self` or `super`.
fn absolute(written: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    // `use a::{self}` names `a`.
    let mut rest = match written {
        [start @ .., last] if last == "self" && !start.is_empty() => start,
        all => all,
    };
    let mut local = false;
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "crate" if !local => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        local = true;
        rest = others;
    }
    let start = if local { [vec!["crate".to_owned()], base].concat() } else { Vec::new() };
    [start.as_slice(), rest].concat()
}

/// The tokens in the brackets of an attribute at `at`, and what is behind it.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(Vec<TokenTree>, usize)> {
    if !is_mark(tokens, at, '#') {
        return None;
    }
    let at = at + 1 + usize::from(is_mark(tokens, at + 1, '!'));
    match tokens.get(at)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
            Some((trees(group.stream()), at + 1))
        }
        _ => None,
    }
}

fn is_cfg_test(attribute: &[TokenTree]) -> bool {
    match attribute {
        [TokenTree::Ident(cfg), TokenTree::Group(of)] if cfg == "cfg" => {
            matches!(trees(of.stream()).as_slice(), [TokenTree::Ident(word)] if word == "test")
        }
        _ => false,
    }
}

fn is_test_file(tokens: &[TokenTree]) -> bool {
    is_mark(tokens, 1, '!') && attribute(tokens, 0).is_some_and(|(inner, _)| is_cfg_test(&inner))
}

/// Behind the item that begins at `start`, its further attributes included. Where
/// no item begins, nothing is left out.
fn item_end(tokens: &[TokenTree], start: usize) -> usize {
    const ITEMS: &[&str] = &[
        "async", "const", "enum", "fn", "impl", "mod", "pub", "static", "struct", "trait", "type",
        "unsafe", "use",
    ];
    let mut at = start;
    while let Some((_, next)) = attribute(tokens, at) {
        at = next;
    }
    if !ITEMS.iter().any(|item| is_word(tokens, at, item)) {
        return start;
    }
    while let Some(token) = tokens.get(at) {
        at += 1;
        let ends = match token {
            // The braces of a `use` tree stand behind `::`, and a `;` behind them.
            TokenTree::Group(group) => {
                group.delimiter() == Delimiter::Brace && !(at > 2 && is_colons(tokens, at - 3))
            }
            token => is(token, ';'),
        };
        if ends {
            break;
        }
    }
    at
}

fn trees(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

fn plain(word: &Ident) -> String {
    let text = word.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == mark)
}

fn is_word(tokens: &[TokenTree], at: usize, word: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(found)) if found == word)
}

fn is_mark(tokens: &[TokenTree], at: usize, mark: char) -> bool {
    tokens.get(at).is_some_and(|token| is(token, mark))
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_mark(tokens, at, ':') && is_mark(tokens, at + 1, ':')
}
