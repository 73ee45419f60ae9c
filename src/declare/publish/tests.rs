use super::*;
use crate::declare::{self, Tree};
use crate::value::CredentialId;

const SERVERS: &str = "\
ipams: {nb: {type: netbox, url: \"https://nb.example.org/api\", token: nbtoken}}
zones: {za: {type: simple, ipam: nb, dhcp: dnsmasq}}
vnets: {va: {zone: za}}
";

fn exported(text: &str, token: Option<&str>) -> Exported {
    let texts = [("weft.yaml", "weft: 1\ncluster: lab\n"), ("sdn/a.yaml", text)];
    let files = texts.map(|(path, text)| (path.parse().expect("a path"), text.into()));
    let (declared, findings) = declare::read(&Tree::new(None, files), None);
    assert!(!findings.has_errors(), "{findings:?}");
    let network = crate::network::Network::default();
    let id: CredentialId = "nbtoken".parse().expect("an id");
    let secrets = token.map(|token| (id, Secret::new(token.to_owned()))).into_iter().collect();
    declare::export::pve(&declared, &network, 1, &secrets)
}

fn found(texts: &[(&'static str, &str)]) -> Found {
    let texts = texts.iter().map(|(name, text)| (*name, Secret::new((*text).to_owned())));
    Found::read(&texts.collect()).expect("legal")
}

fn names(verdict: &Verdict) -> Vec<&'static str> {
    match verdict {
        Verdict::Write(files) => files.iter().map(|(name, _)| *name).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_named_is_written_before_what_names_it_and_what_runs_last() {
    let exported = exported(SERVERS, Some("s3cret"));
    let verdict = Wanted::new(&exported).expect("legal").judge(&found(&[]), None);
    assert_eq!(names(&verdict), ["ipams.cfg", "zones.cfg", "vnets.cfg", RUNNING]);
    assert!(!format!("{verdict:?}").contains("s3cret"));
}

#[test]
fn servers_are_written_only_with_their_secrets_and_never_taken_away() {
    let there = "netbox: old\n\ttoken theirs\n\turl https://old.example.org/api\n\n";
    let found_old = found(&[("ipams.cfg", there)]);
    let without = exported(SERVERS, None);
    let wanted = Wanted::new(&without).expect("legal");
    assert_eq!(names(&wanted.judge(&found_old, None)), ["zones.cfg", "vnets.cfg", RUNNING]);
    assert!(!wanted.digests().contains_key("ipams.cfg"));

    let with = exported(SERVERS, Some("s3cret"));
    let wanted = Wanted::new(&with).expect("legal");
    let Verdict::Edited(edited) = wanted.judge(&found_old, None) else { panic!("it would go") };
    assert_eq!(edited, ["ipams.cfg: IPAM old is another one"]);
    // More of them are no loss.
    let ours = with.secret_files["ipams.cfg"].expose();
    for (text, writes) in [("pve: pve\n\n", true), (ours, false)] {
        let verdict = wanted.judge(&found(&[("ipams.cfg", text)]), None);
        assert_eq!(names(&verdict).contains(&"ipams.cfg"), writes, "{text}");
    }
    let digest = |text| found(&[("ipams.cfg", text)]).digests()["ipams.cfg"];
    assert_eq!(digest(ours), digest(&ours.replace("s3cret", "before")));
}

/// What is public is as before, and the secret is another one.
#[test]
fn a_secret_that_somebody_changed_is_seen_and_not_shown() {
    let with = exported(SERVERS, Some("s3cret"));
    let wanted = Wanted::new(&with).expect("legal");
    let found = |secret: &str| {
        let text = with.secret_files["ipams.cfg"].expose().replace("s3cret", secret);
        found(&[("ipams.cfg", &text)])
    };
    let sealed = |secret: &str| {
        let mut seal = Seal::new(Digest::of(b"salt"));
        let secrets = found(secret).secrets(&seal).into_iter();
        seal.secrets = secrets.map(|(name, of)| (name.to_owned(), of)).collect();
        let contents = wanted.digests().into_iter();
        Record {
            format: FORMAT,
            cluster: "lab".parse().expect("a name"),
            published: None,
            contents: contents.map(|(name, digest)| (name.to_owned(), [digest].into())).collect(),
            seal: Some(seal),
        }
    };
    let of_servers = |verdict: Verdict| match verdict {
        Verdict::Edited(edited) => {
            edited.into_iter().filter(|said| said.starts_with("ipams.cfg")).collect()
        }
        Verdict::Write(files) => files.into_iter().map(|(name, _)| name.to_owned()).collect(),
        other => vec![format!("{other:?}")],
    };
    let edited = ["ipams.cfg: IPAM nb has another `token`"];
    assert_eq!(of_servers(wanted.judge(&found("theirs"), None)), edited);
    assert_eq!(of_servers(wanted.judge(&found("theirs"), Some(&sealed("s3cret")))), edited);
    // One that weft wrote before, or a person let it take over, is replaced.
    let verdict = wanted.judge(&found("theirs"), Some(&sealed("theirs")));
    assert!(!of_servers(verdict).contains(&edited[0].to_owned()));
    // Nobody knows it again by the digest without the salt.
    let of = |salt: &[u8]| found("s3cret").secrets(&Seal::new(Digest::of(salt)));
    assert_eq!(of(b"salt")["ipams.cfg"].len(), 1);
    assert_ne!(of(b"salt"), of(b"another"));
    assert!(!format!("{:?}", sealed("s3cret")).contains("s3cret"));
}

#[test]
fn a_file_that_is_gone_was_taken_away_by_somebody() {
    let exported = exported("zones: {za: {type: simple}}\nvnets: {va: {zone: za}}\n", None);
    let wanted = Wanted::new(&exported).expect("legal");
    let contents = wanted.digests();
    let contents = contents.into_iter().map(|(name, digest)| (name.to_owned(), [digest].into()));
    let record = Record {
        format: FORMAT,
        cluster: "lab".parse().expect("a name"),
        published: None,
        contents: contents.collect(),
        seal: None,
    };
    let Verdict::Edited(edited) = wanted.judge(&found(&[]), Some(&record)) else {
        panic!("somebody emptied it")
    };
    assert!(edited.contains(&"zones.cfg: zone za is missing, and the commit has it".to_owned()));
}

#[test]
fn two_exports_are_equal_that_proxmox_could_not_tell_from_each_other() {
    let digest = |text| Wanted::new(&exported(text, None)).expect("legal").digest();
    let plain = digest("zones: {za: {type: simple}}\n");
    let nodes = "nodes: {n1: {labels: {site: a}}}\nzones: {za: {type: simple}}\n";
    assert_eq!(digest(nodes), plain);
    assert_ne!(digest("zones: {za: {type: simple, mtu: 1400}}\n"), plain);
}
