//! `/etc/frr/daemons`: which daemons FRR starts.
//!
//! The reference sets those of fabrics, and leaves the others to people; here what is needed is
//! started, and what is not needed is left as it is.

use super::config::Config;

/// The largest file that is taken, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The node's own file, with each daemon as it is needed. Done twice it changes nothing more.
pub(super) fn edit(text: &str, config: &Config) -> Result<String, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("it is too large");
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("it holds control characters");
    }
    let has_bgp = config.router.is_some() || !config.vrf_routers.is_empty();
    let has_sessions = config.router.as_ref().is_some_and(|router| !router.groups.is_empty());
    // Fabrics turn their daemons off as well.
    let wanted = [
        ("bgpd", has_bgp.then_some(true)),
        ("bfdd", has_sessions.then_some(true)),
        ("isisd", (!config.isis.routers.is_empty()).then_some(true)),
        ("fabricd", Some(!config.openfabric.routers.is_empty())),
        ("ospfd", Some(config.ospf.router_id.is_some())),
    ];
    let mut written = String::with_capacity(text.len() + 64);
    let mut seen = Vec::new();
    for line in text.trim_end_matches('\n').split('\n') {
        let known = line.split_once('=').and_then(|(daemon, _)| {
            wanted.iter().find_map(|(name, on)| (*name == daemon).then_some((*name, (*on)?)))
        });
        match known {
            Some((name, on)) => {
                seen.push(name);
                push(&mut written, name, on);
            }
            None => written.extend([line, "\n"]),
        }
    }
    for (name, on) in wanted {
        if on == Some(true) && !seen.contains(&name) {
            push(&mut written, name, true);
        }
    }
    Ok(written)
}

fn push(text: &mut String, daemon: &str, on: bool) {
    text.extend([daemon, if on { "=yes\n" } else { "=no\n" }]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::frr::interior::Net;

    fn fabric() -> Config {
        let mut config = Config::default();
        config.openfabric.routers.insert("fab".parse().unwrap(), Net::V4([10, 0, 0, 1].into()));
        config
    }

    #[test]
    fn daemons_of_fabrics_are_set_and_others_only_started() {
        let own = "# a comment\nbgpd=no\n\nospfd=yes # mine\nisisd=no\nbfdd=yes\nfabricd=no\n bgpd=no\nbgpd_options=\"-A\"\n\n\n";
        let edited = edit(own, &fabric()).unwrap();
        assert_eq!(
            edited,
            "# a comment\nbgpd=no\n\nospfd=no\nisisd=no\nbfdd=yes\nfabricd=yes\n bgpd=no\nbgpd_options=\"-A\"\n"
        );
        assert_eq!(edit(&edited, &fabric()).unwrap(), edited);
    }

    #[test]
    fn a_daemon_without_a_line_gets_one() {
        let edited = edit("zebra=yes", &fabric()).unwrap();
        assert_eq!(edited, "zebra=yes\nfabricd=yes\n");
        assert_eq!(edit(&edited, &fabric()).unwrap(), edited);
    }

    #[test]
    fn what_is_no_such_file_stays() {
        assert!(edit("bgpd=no\r\n", &fabric()).is_err());
        assert!(edit(&"x\n".repeat(MAX_BYTES), &fabric()).is_err());
    }
}
