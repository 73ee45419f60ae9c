//! Secrets of servers: for whom they are written, and that people change them.

use super::*;

#[test]
fn a_secret_is_written_only_for_the_server_that_it_is_bound_to() {
    let settings = settings::read(&self::settings()).expect("legal");
    let host = Fake::default();
    host.put("/etc/weft/nb.token", b"s3cret\n", 0o600);
    let secrets = |url: &str| {
        let text = format!(
            "ipams: {{nb: {{type: netbox, url: \"{url}\", token: nbtoken}}, other: {{type: netbox, url: \"{url}\", token: unknown}}}}\n"
        );
        let Commit { declared, .. } = commit(1, &text);
        let secrets = super::super::secrets::secrets(&host, &settings, &declared);
        secrets
            .into_iter()
            .map(|(id, s)| (id.to_string(), s.expose().to_owned()))
            .collect::<Vec<_>>()
    };
    let known = [("nbtoken".to_owned(), "s3cret".to_owned())];
    assert_eq!(secrets("https://nb.example.org/api"), known);
    assert_eq!(secrets("https://NB.example.org:443/api"), known);
    for url in [
        "https://nb.example.com/api",
        "http://nb.example.org/api",
        "https://nb.example.org:8443/api",
        "https://nb.example.org.example.com/api",
    ] {
        assert_eq!(secrets(url), [], "{url}");
    }
    host.put("/etc/weft/nb.token", b"s3cret\n", 0o644);
    assert_eq!(secrets("https://nb.example.org/api"), [], "anybody could read it");
}

#[test]
fn a_secret_that_a_person_changed_is_left_until_a_person_agrees() {
    const SERVER: &str = "zones: {za: {type: simple, ipam: nb}}\nvnets: {va: {zone: za}}\n\
        ipams: {nb: {type: netbox, url: \"https://nb.example.org/api\", token: nbtoken}}\n";
    let token = |word: &str| {
        let id: CredentialId = "nbtoken".parse().expect("an id");
        BTreeMap::from([(id, Secret::new(word.to_owned()))])
    };
    let mut cluster = Cluster::new(2);
    let commit = commit(1, SERVER);
    cluster.secrets = token("f1rst");
    cluster.turns(&commit);
    assert!(cluster.sdn("ipams.cfg").contains("token f1rst"));
    let before = cluster.shared.fingerprint();
    cluster.turns(&commit);
    assert_eq!(cluster.shared.fingerprint(), before);
    // The node has another one, and it is written.
    cluster.secrets = token("s3cond");
    cluster.turns(&commit);
    let written = cluster.sdn("ipams.cfg");
    assert!(written.contains("token s3cond"), "{written}");
    // A node without it changes nothing.
    cluster.secrets = BTreeMap::new();
    let before = cluster.shared.fingerprint();
    cluster.turns(&commit);
    assert_eq!(cluster.shared.fingerprint(), before);
    cluster.secrets = token("s3cond");
    // Somebody puts in another one, or the one before.
    for theirs in ["th1rd", "f1rst"] {
        cluster.put_sdn("ipams.cfg", &written.replace("s3cond", theirs));
        let publication = cluster.turns(&commit).remove(0);
        assert_eq!(told(&publication), "pve-edited");
        assert_eq!(publication.edited, ["ipams.cfg: IPAM nb has another `token`"]);
        assert!(cluster.sdn("ipams.cfg").contains(theirs));
        let (_, host) = &cluster.nodes[0];
        assert_eq!(take_over(host, &cluster_name(), &publication), Takeover::Agreed);
        let publication = cluster.turns(&commit).remove(0);
        assert_eq!(publication.standing, Standing::Published, "{}", publication.message);
        assert_eq!(cluster.sdn("ipams.cfg"), written);
        let said = format!("{publication:?}{}", cluster.sdn("weft.json"));
        for word in ["f1rst", "s3cond", theirs] {
            assert!(!said.contains(word), "{said}");
        }
    }
}
