//! How long ten thousand commits take. Run with `--release -- --ignored --nocapture`.

use std::time::Instant;

use weft::value::ObjectId;

use super::forge::{Forge, lines};
use super::repository::accepted;

/// A line of commits of a repository with fifty files, each changed now and then.
fn line(forge: &Forge, begin: ObjectId, count: usize, signer: &str, directory: &str) -> ObjectId {
    let mut tip = begin;
    for number in 0..count {
        let path = format!("{directory}/f{}.yaml", number % 50);
        let text =
            format!("vnets: {{a{}: {{zone: tena, tag: {}}}}}\n", number % 50, number % 4000 + 1);
        tip = forge.commit(&[tip], signer, &[(&path, &text)]);
    }
    tip
}

const POLICY: &str = "
roles:
  root: {principals: [root]}
  operator: {principals: [bob]}
  tenant:
    principals: [ann]
    paths: ['sdn/tenants/a/**']
    scope: {kinds: [vnets], zones: [tena], vnets: ['a*'], tags: ['1-4094']}
";

#[test]
#[ignore = "takes minutes without optimisation"]
fn ten_thousand_commits() {
    let forge = Forge::new();
    let zones = "zones: {tena: {type: vlan, bridge: vmbr0}}\n";
    let begin = forge.begin(&lines(&["root", "ann", "bob"]), POLICY, &[("sdn/z.yaml", zones)]);
    for (signer, directory) in [("bob", "sdn/core"), ("ann", "sdn/tenants/a")] {
        let tip = line(&forge, begin, 10_000, signer, directory);
        let start = Instant::now();
        let judgement = forge.judge(begin, tip);
        let took = start.elapsed();
        assert_eq!(accepted(&judgement), Some(tip));
        println!("10,000 commits by {signer}: {took:?}");
        assert!(took.as_secs_f64() < 3.0, "{signer}: {took:?}");
    }
}
