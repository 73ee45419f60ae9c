//! What a node's settings say of the daemon: schedule, listening, webhooks.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret;
use weft::agent::hook::{self, Provider};
use weft::agent::schedule::Schedule;
use weft::agent::settings::{self, Pve, Settings, SettingsError};
use weft::host::Linux;
use weft::plan::Terms;

const BASE: &str = "\
cluster: home
node: node1
remotes: [{name: origin, url: \"https://git.example/net.git\"}]
introduction:
  commit: 0123456789abcdef0123456789abcdef01234567
  signer: \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"
";

fn read(more: &str) -> Result<Settings, String> {
    settings::read(&format!("{BASE}{more}\n")).map_err(|findings| {
        let messages: Vec<&str> = findings.iter().map(|f| f.message.as_str()).collect();
        messages.join("; ")
    })
}

#[test]
fn a_remote_has_a_name_of_its_own() {
    let other = "{name: mirror, url: \"ssh://git@host/net.git\", known-hosts: /etc/weft/known, credential: forge}";
    let key = "credentials: {forge: {type: ssh-key, file: /etc/weft/k, origin: \"ssh://host\"}}\n";
    let text = format!("{BASE}{key}").replace("net.git\"}]", &format!("net.git\"}},\n  {other}]"));
    settings::read(&text).unwrap();
    let findings = settings::read(&text.replace("name: mirror", "name: origin")).unwrap_err();
    let found: Vec<_> = findings.iter().collect();
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (finding.code.id(), finding.message.as_str()),
        ("duplicate-id", "two remotes have the name `origin`")
    );
    let lines: Vec<u32> = finding.marks.iter().map(|mark| mark.place.span.line).collect();
    assert_eq!(lines, [4, 3]);
}

#[test]
fn a_schedule_is_an_interval_or_a_crontab_line() {
    let schedule = |more| read(more).unwrap().schedule(&TimeZone::UTC);
    assert!(matches!(schedule(""), Schedule::Every(period) if period == Duration::from_secs(60)));
    for (text, seconds) in
        [("5s", 5), ("90s", 90), ("1h 30m", 5400), ("1 day", 86_400), ("24h", 86_400)]
    {
        let read = read(&format!("schedule: {{every: {text}}}"));
        if text == "1 day" {
            // A day is not always 24 hours.
            assert!(read.is_err());
            continue;
        }
        let Schedule::Every(period) = read.unwrap().schedule(&TimeZone::UTC) else { panic!() };
        assert_eq!(period.as_secs(), seconds);
    }
    let Schedule::Cron(line, _) = schedule("schedule: {cron: \"*/5 * * * *\"}") else { panic!() };
    assert_eq!(line.as_str(), "*/5 * * * *");
    for (wrong, what) in [
        ("schedule: {every: 4s}", "5 seconds to 24 hours"),
        ("schedule: {every: 25h}", "5 seconds to 24 hours"),
        ("schedule: {every: 60}", "with its unit"),
        ("schedule: {every: -60s}", "5 seconds"),
        ("schedule: {every: forever}", "5 seconds"),
        ("schedule: {cron: \"* * * *\"}", "five fields"),
        ("schedule: {cron: \"0 0 30 2 *\"}", "no date"),
        ("schedule: {}", "`every` or `cron`"),
        ("schedule: {every: 60s, cron: \"* * * * *\"}", "not both"),
        ("schedule: {often: true}", "no option"),
        ("fetch-deadline: 1s", "5 seconds"),
    ] {
        let message = read(wrong).unwrap_err();
        assert!(message.contains(what), "{wrong}: {message}");
    }
    assert_eq!(read("fetch-deadline: 30s").unwrap().fetch_deadline(), Duration::from_secs(30));
    assert_eq!(read("").unwrap().fetch_deadline(), Duration::from_secs(300));
}

#[test]
fn other_machines_are_let_in_only_on_purpose() {
    assert_eq!(read("").unwrap().listen(), None);
    for good in ["127.0.0.1:9470", "\"[::1]:9470\"", "127.9.9.9:1"] {
        assert!(read(&format!("listen: {good}")).unwrap().listen().is_some(), "{good}");
    }
    assert!(read("listen: 0.0.0.0:9470\nlisten-anywhere: true").unwrap().listen().is_some());
    for (wrong, what) in [
        ("listen: 0.0.0.0:9470", "other machines"),
        ("listen: \"[::]:9470\"", "other machines"),
        ("listen: 10.0.0.1:9470\nlisten-anywhere: false", "other machines"),
        ("listen: 127.0.0.1:0", "port 0"),
        ("listen: localhost:9470", "address with its port"),
        ("listen: 127.0.0.1", "address with its port"),
        ("listen: 127.0.0.1:99999", "address with its port"),
        ("hooks: {forge: {provider: github, secret-file: /etc/weft/s}}", "a place to arrive"),
    ] {
        let message = read(wrong).unwrap_err();
        assert!(message.contains(what), "{wrong}: {message}");
    }
}

#[test]
fn webhooks_and_their_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    let host = Linux::new(Some(root.clone()));
    std::fs::create_dir_all(root.join("etc/weft")).unwrap();
    let put = |name: &str, text: &str, mode: u32| {
        let path = root.join("etc/weft").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    put("good", "a secret that is long enough\n", 0o600);
    put("old", "the secret that was before\r\n", 0o640);
    put("short", "short\n", 0o600);
    put("open", "a secret that everybody reads", 0o644);
    let settings = read(
        "listen: 127.0.0.1:9470
hooks:
  forge: {provider: forgejo, secret-file: /etc/weft/good, previous-secret-file: /etc/weft/old}
  gone: {provider: gitlab, secret-file: /etc/weft/good, previous-secret-file: /etc/weft/none}
  missing: {provider: github, secret-file: /etc/weft/none}
  short: {provider: github, secret-file: /etc/weft/short}
  open: {provider: github, secret-file: /etc/weft/open}",
    )
    .unwrap();
    let (listening, errors) = hook::listening(&host, &settings);
    let forge = &listening.hooks["forge"];
    assert_eq!(forge.provider, Provider::Forgejo);
    let secrets: Vec<&[u8]> = forge.secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, [&b"a secret that is long enough"[..], b"the secret that was before"]);
    assert_eq!(listening.hooks["gone"].secrets.len(), 1);
    assert_eq!(listening.hooks.len(), 2);
    let errors: Vec<String> =
        errors.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    assert_eq!(errors.len(), 3);
    assert!(errors[0].starts_with("missing: there is no `/etc/weft/none`"), "{errors:?}");
    assert!(errors[1].starts_with("open: everybody may read"), "{errors:?}");
    assert!(errors[2].starts_with("short: the secret in"), "{errors:?}");
    assert!(!format!("{listening:?}").contains("long enough"));
    for (wrong, what) in [
        ("hooks: {A: {provider: github, secret-file: /s}}", "hook name"),
        ("hooks: {a/b: {provider: github, secret-file: /s}}", "hook name"),
        ("hooks: {a: {provider: svn, secret-file: /s}}", "webhook provider"),
        ("hooks: {a: {provider: github}}", "secret-file"),
        ("hooks: {a: {provider: github, secret-file: s}}", "whole path"),
        ("hooks: {a: {provider: github, secret-file: /etc/../s}}", "whole path"),
    ] {
        let message = read(&format!("listen: 127.0.0.1:9470\n{wrong}")).unwrap_err();
        assert!(message.contains(what), "{wrong}: {message}");
    }
}

#[test]
fn settings_that_are_not_there_or_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    let host = Linux::new(Some(root.clone()));
    assert!(settings::load(&host).unwrap().is_none());
    let file = root.join("etc/weft/agent.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"\xff").unwrap();
    assert!(matches!(settings::load(&host), Err(SettingsError::NotText)));
    std::fs::write(&file, format!("{BASE}schedule: {{every: 1s}}\nlisten: x\n")).unwrap();
    let error = settings::load(&host).unwrap_err().to_string();
    assert!(error.contains("/etc/weft/agent.yaml:7:"), "{error}");
    assert!(error.ends_with("(and 1 more)"), "{error}");
    std::fs::write(&file, BASE).unwrap();
    assert!(settings::load(&host).unwrap().is_some());
}

#[test]
fn there_are_three_ways_with_proxmox() {
    let pve = |more: &str| read(more).map(|settings| settings.pve());
    assert_eq!(pve(""), Ok(Pve::Off));
    for (word, way) in [("publish", Pve::Publish), ("refuse", Pve::Refuse), ("off", Pve::Off)] {
        assert_eq!(pve(&format!("pve: {word}")), Ok(way));
    }
    let debian = pve("pve: publish\nprofile: debian").unwrap_err();
    assert!(debian.contains("not those that Proxmox VE would write"), "{debian}");
    assert_eq!(pve("pve: off\nprofile: debian"), Ok(Pve::Off));
    assert!(pve("pve: yes").unwrap_err().contains("a way with Proxmox VE"));
}

#[test]
fn windows_have_bounds_and_fit_each_other() {
    let seconds = |more| {
        let terms = read(more).unwrap().terms();
        let Terms { settle, ordinary, management, coordinated, reserve, manual, .. } = terms;
        ([settle, ordinary, management, coordinated, reserve].map(|time| time.as_secs()), manual)
    };
    assert_eq!(seconds(""), ([10, 120, 300, 600, 30], false));
    assert_eq!(seconds("confirm: {}"), ([10, 120, 300, 600, 30], false));
    assert_eq!(seconds("confirm: {mode: manual, window: 20m}"), ([10, 1200, 1200, 1200, 30], true));
    assert_eq!(seconds("confirm: {mode: automatic, window: 8s}"), ([4, 8, 300, 600, 30], false));
    let all =
        "confirm: {settle: 1s, window: 5s, long-window: 6s, coordinated-window: 1h, reserve: 2s}";
    assert_eq!(seconds(all), ([1, 5, 6, 3600, 2], false));
    for (wrong, what) in [
        ("confirm: {mode: never}", "not a way to confirm"),
        ("confirm: {settle: 999ms}", "1 second to 10 minutes"),
        ("confirm: {settle: 11m}", "1 second to 10 minutes"),
        ("confirm: {settle: 61s}", "cannot work for 61s"),
        ("confirm: {settle: 5s, window: 8s}", "cannot work for 5s"),
        ("confirm: {window: 4s}", "5 seconds to 1 hour"),
        ("confirm: {window: 61m}", "5 seconds to 1 hour"),
        ("confirm: {long-window: 1m}", "`long-window` is shorter"),
        ("confirm: {coordinated-window: 5s}", "`coordinated-window` is shorter"),
        ("confirm: {reserve: 0s}", "1 second to 10 minutes"),
        ("confirm: {reserved: 1s}", "no option"),
    ] {
        let message = read(wrong).unwrap_err();
        assert!(message.contains(what), "{wrong}: {message}");
    }
}

#[test]
fn probes_are_one_thing_each() {
    let watched = |more: &str| {
        let probes = read(more).unwrap().terms().watchlist.probes.into_iter();
        let probes = probes.map(|probe| format!("{} {:?}", probe.sign, probe.check));
        probes.collect::<Vec<String>>()
    };
    assert_eq!(
        watched("probes: {}"),
        ["remote `origin` Tcp { host: HostName(\"git.example\"), port: 443 }"]
    );
    let probes = "
probes:
  uplink: {icmp: 192.0.2.1}
  web: {http: \"https://[2001:db8::1]:8443/up?x=1\", status: 204}
  any: {http: \"http://web.example\"}
  port: {tcp: \"[2001:db8::1]:22\"}
  name: {dns: www.example.org, server: 192.0.2.53}
  own: {dns: www.example.org}
  mine: {command: [/usr/local/bin/check, --fast, \"a b\"]}";
    let found = watched(probes);
    assert_eq!(found.len(), 8);
    for (name, check) in [
        ("uplink", "Icmp { host: HostName(\"192.0.2.1\") }"),
        ("web", "status: Some(204) }"),
        ("any", "status: None }"),
        ("port", "Tcp { host: HostName(\"2001:db8::1\"), port: 22 }"),
        ("name", "Dns { name: DnsName(\"www.example.org\"), server: Some(192.0.2.53) }"),
        ("own", "server: None }"),
        ("mine", "Command { words: [\"/usr/local/bin/check\", \"--fast\", \"a b\"] }"),
    ] {
        let of = format!("probe `{name}` ");
        let found = found.iter().find(|text| text.starts_with(&of)).unwrap();
        assert!(found.ends_with(check), "{found}");
    }
    let many: Vec<String> = (0..65).map(|id| format!("  p{id}: {{icmp: 192.0.2.1}}\n")).collect();
    for (wrong, what) in [
        ("probes: {a: {}}", "a probe has `tcp`"),
        ("probes: {a: {tcp: \"a:1\", icmp: a}}", "one of `tcp`, `icmp`"),
        ("probes: {a: {icmp: a, status: 200}}", "`status` says nothing without `http`"),
        ("probes: {a: {icmp: a, server: 192.0.2.1}}", "`server` says nothing without `dns`"),
        ("probes: {a: {tcp: a}}", "with its port"),
        ("probes: {a: {icmp: -c}}", "a letter or digit first"),
        ("probes: {a: {http: \"https://u:p@a/\"}}", "without a user"),
        ("probes: {a: {http: \"http://a/\", status: 100}}", "final status"),
        ("probes: {a: {http: \"http://a/\", status: 600}}", "final status"),
        ("probes: {a: {dns: \"a..b\"}}", "DNS name"),
        ("probes: {a: {dns: a, server: b}}", "IP address"),
        ("probes: {a: {command: []}}", "whole path"),
        ("probes: {a: {command: [true]}}", "whole path"),
        ("probes: {a: {command: [/bin/../x]}}", "whole path"),
        ("probes: {a: {command: /bin/true}}", "a list is wanted"),
        ("probes: {a: {command: [/bin/true, \"a\\nb\"]}}", "no control characters"),
        ("probes: {\"a b\": {icmp: a}}", "word"),
        ("probes: {a: {shell: x}}", "no option"),
        (&format!("probes:\n{}", many.concat()), "at most 64"),
    ] {
        let message = read(wrong).unwrap_err();
        assert!(message.contains(what), "{wrong}: {message}");
    }
}

#[test]
fn remotes_are_looked_at_where_they_answer() {
    let text = BASE.replace(
        "[{name: origin, url: \"https://git.example/net.git\"}]",
        "[{name: a, url: \"https://Git.example:8443/net.git\"}, \
          {name: b, url: \"ssh://git@[2001:db8::1]/net.git\", known-hosts: /k, credential: key}, \
          {name: c, url: \"file:///srv/net.git\"}]\n\
         allow-file: true\n\
         credentials: {key: {type: ssh-key, file: /key, origin: \"ssh://[2001:db8::1]\"}}",
    );
    let probes = settings::read(&text).unwrap().terms().watchlist.probes;
    let probes: Vec<String> = probes.iter().map(|p| format!("{} {:?}", p.sign, p.check)).collect();
    assert_eq!(
        probes,
        [
            "remote `a` Tcp { host: HostName(\"git.example\"), port: 8443 }",
            "remote `b` Tcp { host: HostName(\"2001:db8::1\"), port: 22 }",
        ]
    );
}
