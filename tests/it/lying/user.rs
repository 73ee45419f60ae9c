//! The fetch process as a user of its own, on a node that is no dry one: this machine, with
//! directories of the test in place of its own.

use std::process::Command;

use super::Scene;

const SCRIPT: &str = r#"
set -e
cp -a /etc "$1/etc"
echo 'weft-fetch:x:64123:64123::/var/cache/weft:/usr/sbin/nologin' >> "$1/etc/passwd"
mkdir -p "$1/etc/weft"
cp "$1/root/etc/weft/agent.yaml" "$1/root/etc/weft/ca.pem" "$1/etc/weft"
sed -i 's/^mode: apply/mode: observe/' "$1/etc/weft/agent.yaml"
mount --bind "$1/etc" /etc
for directory in /run /var/lib /var/cache; do mount -t tmpfs none "$directory"; done
turn() {
    "$2" sync >"$1/said" 2>&1 || [ $? = 2 ] || { cat "$1/said"; exit 1; }
    cp /run/weft/status.json "$1/$3.json"
    stat -c '%u %g %a %n' /var/cache/weft /var/cache/weft/repo.git /var/cache/weft/repo.git/*
}
echo first; turn "$1" "$2" first
# The cache of a release that fetched as root.
chown -R 0:0 /var/cache/weft
echo foreign; turn "$1" "$2" foreign
# What somebody planted who took the process over.
rm -r /var/cache/weft/repo.git
mkdir "$1/elsewhere" && echo precious >"$1/elsewhere/file" && ln -s "$1/elsewhere" /var/cache/weft/repo.git
echo planted; turn "$1" "$2" planted
# The authority among those of the system.
install -m 644 "$1/etc/weft/ca.pem" "/etc/ssl/certs/$3"
sed -i 's/, ca: [^}]*//' /etc/weft/agent.yaml
echo system; turn "$1" "$2" system
cat "$1/elsewhere/file"
"#;

#[test]
fn the_process_has_a_user_of_its_own_who_owns_the_cache_alone() {
    if !nix::unistd::geteuid().is_root()
        || !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|end| end.success())
    {
        println!("skipped: only root can give a process another user and other directories");
        return;
    }
    let mut scene = Scene::new(&["origin"]);
    let mut agent = scene.agent.take().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    let home = scene.repository.home();
    let authority = std::fs::read(scene.root.join("etc/weft/ca.pem")).unwrap();
    let authority = openssl::x509::X509::from_pem(&authority).unwrap();
    let said = Command::new("unshare")
        .args(["-m", "sh", "-c", SCRIPT, "sh"])
        .arg(home)
        .arg(env!("CARGO_BIN_EXE_weft"))
        .arg(format!("{:08x}.0", authority.subject_name_hash()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    for turn in ["first", "foreign", "planted", "system"] {
        let status = std::fs::read_to_string(home.join(format!("{turn}.json"))).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["fetch_process"]["user"], 64_123, "{turn}: {status:#}");
        assert_eq!(status["remotes"][0]["standing"], "current", "{turn}: {status:#}");
        assert_eq!(status["unreached"], serde_json::json!([]), "{turn}: {status:#}");
    }
    let owned = |line: &&str| line.contains("/var/cache/weft");
    assert!(text.lines().filter(owned).count() > 12, "{text}");
    assert!(text.lines().filter(owned).all(|line| line.starts_with("64123 64123 ")), "{text}");
    assert!(text.ends_with("precious\n"), "{text}");
}
