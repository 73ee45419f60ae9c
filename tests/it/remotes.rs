//! Remotes over https and ssh: whom weft believes, what it says when it does not, and
//! where its credentials go.

mod https;
mod known_hosts;
pub(crate) mod server;
mod settings;
