//! What must work in a window, what excuses it, and when a window ends.

use std::time::Duration;

use weft::plan::{
    Before, Class, Health, Lapses, Look, Opening, Protocol, Sign, Signs, Terms, Texts, Uptime,
    Verdict, Watch, Watchlist, Window,
};
use weft::render::Managed;

use super::lapses::{lapses_between, session};

fn ordinary() -> Opening {
    let carrying_out = Duration::ZERO;
    Opening { class: Class::Ordinary, touches_management: false, carrying_out }
}

fn at(milliseconds: u64) -> Uptime {
    Uptime { boot: "one".to_owned(), milliseconds }
}

#[test]
fn silence_excuses_a_neighbour_only_if_it_answered_before() {
    let remote = Sign::Remote("origin".parse().unwrap());
    let router = session(Protocol::Bgp, "192.0.2.1");
    let signs = Signs::from([(remote.clone(), Health::Up), (router.clone(), Health::Up)]);
    let gone = Signs::from([(remote, Health::Up), (router.clone(), Health::Away)]);
    let Sign::Session(its) = router.clone() else { unreachable!("a session") };
    for (answering, down) in [(vec![its], vec![]), (vec![], vec![router])] {
        let before = Before {
            signs: signs.clone(),
            answering: answering.into_iter().collect(),
            ..Before::default()
        };
        let open = |opening: &Opening| {
            Window::open(&Terms::default(), opening, &at(0), &before, &Lapses::default())
        };
        assert_eq!(open(&ordinary()).down(&gone), down);
        // What touches the way to the node may be why it is silent, whatever its class.
        let touching =
            Opening { touches_management: true, class: Class::Coordinated, ..ordinary() };
        assert_eq!(open(&touching).down(&gone).len(), 1);
    }
}

#[test]
fn a_change_below_sessions_settles_for_as_long_as_they_would_not_notice() {
    let before = |protocol| Before {
        signs: Signs::from([(session(protocol, "eth1"), Health::Up)]),
        ..Before::default()
    };
    let touching = Opening { touches_management: true, ..ordinary() };
    for (opening, protocol, seconds) in [
        (&touching, Protocol::Ospf, 45),
        (&touching, Protocol::Isis, 35),
        (&touching, Protocol::Bfd, 10),
        (&ordinary(), Protocol::Ospf, 10),
    ] {
        let (terms, lapses) = (Terms::default(), Lapses::default());
        let window = Window::open(&terms, opening, &at(0), &before(protocol), &lapses);
        assert_eq!(window.settle, seconds * 1000, "{protocol:?}");
    }
}

#[test]
fn what_was_not_looked_at_has_not_settled() {
    let before = Before {
        signs: Signs::from([(Sign::Bridge("va".to_owned()), Health::Up)]),
        ..Before::default()
    };
    let carrying_out = Duration::from_secs(30);
    let opening = Opening { carrying_out, ..ordinary() };
    let terms = Terms::default();
    let window = Window::open(&terms, &opening, &at(0), &before, &Lapses::default());
    assert_eq!(window.until, 150_000, "the change itself takes none of it");
    let mut watch = Watch::default();
    let seen = Look { signs: before.signs.clone(), ..Look::default() };
    let mut look = |time| watch.look(&at(time), &window, &seen);
    assert_eq!(look(40_000), Verdict::Wait(Vec::new()));
    assert_eq!(look(70_000), Verdict::Wait(Vec::new()), "half a minute that nobody saw");
    assert_eq!(look(75_000), Verdict::Wait(Vec::new()));
    assert_eq!(look(80_000), Verdict::Confirm);
}

#[test]
fn what_a_coordinated_change_drops_is_no_failure_of_it() {
    let signs = ["192.0.2.1", "192.0.2.2"].map(|peer| (session(Protocol::Bgp, peer), Health::Up));
    let before = Before { signs: signs.into(), ..Before::default() };
    let text = |asn: u32| -> Texts {
        let text = format!("router bgp {asn}\n neighbor 192.0.2.1 remote-as 65100\nexit\n");
        Texts::from([(Managed::Frr, text.into_bytes())])
    };
    let lapses = lapses_between(&text(65000), &text(65001));
    let opening = Opening { class: Class::Coordinated, ..ordinary() };
    let window = Window::open(&Terms::default(), &opening, &at(0), &before, &lapses);
    assert!(!window.is_failing(&[session(Protocol::Bgp, "192.0.2.1")]));
    assert!(window.is_failing(&[session(Protocol::Bgp, "192.0.2.2")]));
}

#[test]
fn a_guest_that_was_stopped_or_moved_is_no_loss() {
    let port = |port: &str, bridge: &str| Sign::GuestPort {
        port: port.to_owned(),
        bridge: bridge.to_owned(),
    };
    let before: Signs =
        ["tap1i0", "tap2i0", "tap3i0", "tap4i0"].map(|name| (port(name, "v1"), Health::Up)).into();
    let terms = Terms {
        settle: Duration::from_secs(1),
        ordinary: Duration::from_secs(8),
        management: Duration::from_secs(8),
        coordinated: Duration::from_secs(8),
        reserve: Duration::from_secs(1),
        manual: false,
        blind: false,
        reverts: false,
        passed_hold: None,
        watchlist: Watchlist::default(),
    };
    let now = Uptime { boot: "one".to_owned(), milliseconds: 5 };
    let before = Before { signs: before, ..Before::default() };
    let window = Window::open(&terms, &ordinary(), &now, &before, &Lapses::default());
    // The first is there, the second is no interface any more.
    let signs = Signs::from([
        (port("tap1i0", "v1"), Health::Up),
        (port("tap3i0", "v1"), Health::Down),
        (port("tap4i0", ""), Health::Down),
    ]);
    assert_eq!(window.down(&signs), [port("tap3i0", "v1"), port("tap4i0", "v1")]);
}
