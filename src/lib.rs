//! weft is a GitOps pull agent for software-defined networks of the Proxmox VE kind.
//!
//! Every node pulls one git repository of declarations, accepts a commit only if it
//! is signed by somebody who may change what it changes, computes its own files from
//! it, puts them in place, and records the commit it runs. Nothing is pushed to a
//! node, no node waits for another, and `git revert` is the way back.
//!
//! # One way down
//!
//! ```text
//! git remote ─► sync ─► Verified<Tree> ─► declare ─► validate ─► render ─► plan ─► Verified<Plan> ─► apply ─► Outcome
//!              (objects)                 Declared    Network    Rendering           │
//!                                       + findings  (+ Facts)   + notes             └─ or a confirmed generation
//! ```
//!
//! There is no other path. `weft validate`, `weft render` and `weft plan` are
//! prefixes of this line, `weft sync` is the whole of it. Whether a change may happen
//! is decided on the way down, in code without side effects; [`sync::Verified`] goes
//! along as the proof that a commit was accepted, and `apply` takes nothing without
//! it.
//!
//! # Floors
//!
//! A module imports from lower floors only, and modules of one floor do not see each
//! other. `tests/it/floors.rs` checks this, for every path in every file. Each floor
//! keeps one promise to those above it:
//!
//! | floor | module | what always holds |
//! | --- | --- | --- |
//! | 0 | [`value`] | a value is legal for its type: it was made from a text or number that was checked, by the one door that `FromStr` and `Deserialize` share |
//! | 1 | [`network`] | a network makes sense: what excludes each other has no value that holds both |
//! | 1 | [`facts`] | facts are plain data with no time in them: who has the file can render the node |
//! | 2 | [`declare`] | reading goes on after everything that is wrong, and every value knows its file, line and column |
//! | 3 | [`validate`] | there is a network exactly if no finding is an error, and all findings are reported at once |
//! | 4 | [`render`] | total and deterministic: the same network, node and facts give the same bytes |
//! | 5 | [`plan`] | every choice is made here: what is done needs no further thought, and what is not ours is never removed |
//! | | | *all above are pure: no file, process, socket, clock or environment* |
//! | 6 | [`host`] | a file is replaced as a whole and is on the disk when the call returns; any call may fail |
//! | 7 | [`sync`] | trust is decided from bytes that were hashed here, and only an accepted commit makes a [`sync::Verified`] |
//! | 8 | [`apply`] | whenever it stops, by power loss too, a rerun ends in the old state or the new one; what runs is read from the journal |
//! | 8 | [`reconcile`] | what was not made here is not changed on any server, and what a lost answer leaves open is looked up |
//! | 9 | [`agent`] | one process owns a node, and every turn ends in a status that says why |
//! | 10 | [`serve`] | what is sent from outside causes at most one early poll, and nothing before it is proven |
//! | 11 | [`cli`] | the only floor that prints; an exit status has one meaning |
//!
//! [`render`] and [`plan`] are closed to [`declare`] and [`validate`]: what is decided
//! from a network that makes sense never looks back at the text.
//!
//! # Findings and errors
//!
//! What people wrote and is wrong is a [`declare::Finding`]: collected, never thrown,
//! with a stable code, its places and a line of help. What the world refuses is an
//! error: one enum for each area, whose variants differ where the caller would do
//! something else. Pure floors have no errors: what cannot be rendered was a finding.

pub mod value;

pub mod facts;

pub mod network;

#[macro_use]
pub mod declare;

pub mod validate;

pub mod render;

pub mod plan;

pub mod host;

pub mod sync;

pub mod apply;

pub mod reconcile;

pub mod agent;

pub mod serve;

pub mod cli;
