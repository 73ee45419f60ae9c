//! Rules of iptables, many changed at once: with a process for each, what a large node adds after
//! a boot would take minutes.
//!
//! Changes of one table that follow each other are one text for `iptables-restore(8)`, which makes
//! all of them or none. That a rule is to be removed which is not there any more is such a failure
//! too: whoever asked reads again what there is, and asks for something else.

use std::time::Duration;

use super::network::Call;
use crate::plan::{NetworkStep, Rule, Table};

/// The most changes of one text.
const MOST: usize = 2000;

/// What is not spoken of stays, and the lock of another process is waited for, for five seconds.
const WORDS: &[&str] = &["-w", "5", "--noflush"];

/// The time of one text, which takes a tenth of a second and waits for the lock.
const TIME: Duration = Duration::from_secs(30);

/// How many of these steps, from the first on, are one text; none where the first changes no rule.
pub(super) fn together(steps: &[NetworkStep]) -> usize {
    let Some((table, _)) = steps.first().and_then(change) else { return 0 };
    let is_of_table = |step: &&NetworkStep| change(step).is_some_and(|(of, _)| of == table);
    steps.iter().take(MOST).take_while(is_of_table).count()
}

/// What makes all changes of one table. The step that cannot be a line, if there is one.
pub(super) fn restoring(steps: &[NetworkStep]) -> Result<Call, Option<&NetworkStep>> {
    let (table, _) = steps.first().and_then(change).ok_or(None)?;
    let mut text = format!("*{}\n", table.name.as_str());
    for step in steps {
        let line = change(step).and_then(|(_, line)| line).ok_or(step)?;
        text.push_str(&line);
    }
    text.push_str("COMMIT\n");
    let arguments = WORDS.iter().map(|&word| word.to_owned()).collect();
    Ok(Call { program: table.family.restorer(), arguments, input: text, time: TIME })
}

/// The table that a step changes a rule of, and the line that does it.
fn change(step: &NetworkStep) -> Option<(Table, Option<String>)> {
    let of = |rule: &Rule, line| Some((rule.table(), line));
    match step {
        NetworkStep::AddRule(rule) => of(rule, rule.adding()),
        NetworkStep::RemoveRule(rule) => of(rule, rule.removing()),
        _ => None,
    }
}

/// A complaint that names a line by its number (`line 7 failed`), with that line.
pub(super) fn with_line(said: String, text: &str) -> String {
    let number = said.split_once("line ").and_then(|(_, rest)| rest.split_once(" failed"));
    let number = number.and_then(|(number, _)| number.parse::<usize>().ok());
    match number.and_then(|number| text.lines().nth(number.checked_sub(1)?)) {
        Some(line) => format!("{said} (`{line}`; nothing was done)"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, restoring, together, with_line};
    use crate::plan::{Family, NetworkStep, Rule, Table, TableName};

    fn rule(text: &str) -> Rule {
        text.parse().expect("a rule")
    }

    fn snat(number: usize) -> Rule {
        let (high, low) = (number / 256, number % 256);
        let source = format!("10.{high}.{low}.0/24");
        rule(&format!("iptables -t nat -A POSTROUTING -s '{source}' -o vmbr0 -j ACCEPT"))
    }

    #[test]
    fn neighbours_of_one_table_are_one_text() {
        let zone = rule("iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1");
        let six = rule("ip6tables -t nat -A POSTROUTING -s 'fd00::/64' -o vmbr0 -j ACCEPT");
        let steps = [
            NetworkStep::RemoveRule(snat(0)),
            NetworkStep::AddRule(snat(1)),
            NetworkStep::AddRule(zone.clone()),
            NetworkStep::AddRule(six.clone()),
            NetworkStep::SetUp { interface: "va".parse().expect("a name") },
        ];
        let counts: Vec<usize> = (0..steps.len()).map(|from| together(&steps[from..])).collect();
        assert_eq!(counts, [2, 1, 1, 1, 0]);
        let call = restoring(&steps[..2]).expect("plain");
        assert_eq!(
            (call.program, call.arguments.join(" ").as_str()),
            ("iptables-restore", "-w 5 --noflush")
        );
        assert_eq!(
            call.input,
            "*nat\n-D POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j ACCEPT\n\
             -A POSTROUTING -s 10.0.1.0/24 -o vmbr0 -j ACCEPT\nCOMMIT\n"
        );
        let call = restoring(&steps[2..3]).expect("plain");
        assert_eq!(call.input, "*raw\n-I PREROUTING -i fwbr+ -j CT --zone 1\nCOMMIT\n");
        assert_eq!(restoring(&steps[3..4]).expect("plain").program, "ip6tables-restore");
        assert_eq!(together(&[]), 0);
    }

    #[test]
    fn a_text_is_bounded_and_has_no_line_that_is_no_rule() {
        let steps: Vec<_> = (0..=MOST).map(|number| NetworkStep::AddRule(snat(number))).collect();
        assert_eq!(together(&steps), MOST);
        assert_eq!(together(&steps[MOST..]), 1);
        let nat = Table { family: Family::V4, name: TableName::Nat };
        let other = Rule::of_saved(nat, "-A POSTROUTING --comment \"x -j ACCEPT").expect("read");
        let steps = [NetworkStep::AddRule(snat(0)), NetworkStep::RemoveRule(other)];
        assert_eq!(restoring(&steps), Err(Some(&steps[1])));
        assert_eq!(restoring(&[]), Err(None));
    }

    #[test]
    fn a_complaint_shows_the_line_that_it_means() {
        let text = "*nat\n-D A -j B\nCOMMIT\n";
        assert_eq!(
            with_line("`x` ended with 1: iptables-restore: line 2 failed".to_owned(), text),
            "`x` ended with 1: iptables-restore: line 2 failed (`-D A -j B`; nothing was done)"
        );
        for said in ["line 9 failed", "line 0 failed", "line x failed", "another one"] {
            assert_eq!(with_line(said.to_owned(), text), said);
        }
    }
}
