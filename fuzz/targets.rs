//! What each fuzz target does with some bytes. The tests replay `fuzz/seeds` through the
//! same functions, so this file knows nothing of the fuzzer.

use std::sync::Arc;

use weft::declare::Tree;
use weft::validate;

/// A file of declarations: whatever it says, reading it and every rule end, and there is a
/// network exactly if no finding is an error.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = |path: &str, text: &str| (path.parse().expect("a path"), Arc::<str>::from(text));
    let cluster = file("weft.yaml", "weft: 1\ncluster: fuzz\n");
    let tree = Tree::new(None, [cluster, file("sdn/a.yaml", text)]);
    let (network, findings) = validate::check(&tree, None, &[]);
    assert_eq!(network.is_none(), findings.has_errors());
}
