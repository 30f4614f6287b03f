//! VRRPv2 (RFC 3768) with the distribution's keepalived and FRR, and between two vrrpd. The interval is
//! one second throughout, because version 2 has none that is shorter.

use super::support::frame::{Advert, Checksum};
use super::support::lab::ip;
use super::support::peers::PeerRouter;
use super::support::prober::Responder;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Prober, Report, Router, SOON, ms, wait_for};
use super::vectors::{Form, vector};
use super::{Kind, Peer, VIP4, wait_alone};
use std::time::Duration;

const VIP: &str = "192.0.2.50";
/// The addresses of the nodes `us` and `peer`, which are the first two of a lab.
const US: &str = "192.0.2.10";
const PEER: &str = "192.0.2.11";
pub(super) const SECRET: Option<&str> = Some("secret");
/// How late this machine may be; a timer must never be early.
const LATE: Duration = ms(400);
/// FRR counts in centiseconds, and keepalived's timers end up to a few milliseconds early.
const EARLY: Duration = ms(15);

/// What a pair has agreed on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) password: Option<&'static str>,
    pub(super) sent_to: TermsSentTo,
}

/// Where both send their advertisements to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TermsSentTo {
    Group,
    /// To each other, by their addresses.
    Nodes,
}

impl Terms {
    const fn multicast(password: Option<&'static str>) -> Self {
        Self { password, sent_to: TermsSentTo::Group }
    }

    fn theirs(self, priority: u8) -> PeerRouter {
        let router = theirs(priority, self.password);
        match self.sent_to {
            TermsSentTo::Group => router,
            TermsSentTo::Nodes => router.unicast(PEER, &[US]),
        }
    }

    fn ours(self, priority: u8) -> Router {
        let router = ours(priority, self.password);
        match self.sent_to {
            TermsSentTo::Group => router,
            // The same list on both, as a pair of vrrpd has it: each leaves itself out.
            TermsSentTo::Nodes => router.key("unicast_peers", &format!("{:?}", [US, PEER])),
        }
    }

    /// All advertisements went where they should, whoever sent them.
    #[track_caller]
    fn assert_kept(self, lab: &Lab) {
        let adverts = lab.capture().adverts(ms(0));
        let kept = adverts.iter().all(|advert| match self.sent_to {
            TermsSentTo::Group => advert.destination.is_multicast(),
            TermsSentTo::Nodes => {
                let other = if advert.node == "us" { PEER } else { US };
                advert.destination == ip(other)
            }
        });
        assert!(!adverts.is_empty() && kept, "{self:?} {adverts:?}");
    }
}

/// What runs at the other end, until it is dropped.
enum Partner {
    Theirs(#[expect(dead_code, reason = "held for its Drop")] Peer),
    Ours(#[expect(dead_code, reason = "held for its Drop")] Daemon),
}

/// Which implementation that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implementation {
    Vrrpd,
    Other(Kind),
}

pub(super) const KEEPALIVED: Implementation = Implementation::Other(Kind::Keepalived);
const FRR: Implementation = Implementation::Other(Kind::Frr);

impl Implementation {
    /// Starts a router of version 2 on the node `peer`.
    fn start(self, lab: &Lab, priority: u8, terms: Terms) -> Partner {
        match self {
            Self::Vrrpd => Partner::Ours(Daemon::start(lab.node("peer"), &Config::of(&terms.ours(priority)))),
            Self::Other(kind) => Partner::Theirs(kind.start(lab, &terms.theirs(priority))),
        }
    }
}

fn theirs(priority: u8, password: Option<&'static str>) -> PeerRouter {
    PeerRouter::new(priority, 1000, VIP4).version2(password)
}

fn ours(priority: u8, password: Option<&str>) -> Router {
    let router = super::ours(priority, "1s", VIP4).key("version", "2");
    match password {
        Some(password) => router.key("password", &format!("{password:?}")),
        None => router,
    }
}

/// (256 − priority) / 256 seconds.
fn skew_time(priority: u8) -> Duration {
    Duration::from_secs(1) * (256 - u32::from(priority)) / 256
}

fn serve(lab: &Lab, names: &[&str]) -> Vec<Responder> {
    names.iter().map(|name| Responder::start(lab.node(name), VIP)).collect()
}

/// A client with a thousand requests a second, which `node` answers.
fn ask(lab: &Lab, node: &str) -> Prober {
    let prober = Prober::start(lab.node("client"), VIP, 1000);
    prober.wait_answer_of(lab.node(node));
    prober.wait_some_answers();
    prober
}

/// Waits until `node` answers for a while, and ends the client.
fn answered_at_last_by(lab: &Lab, prober: Prober, node: &str) -> Report {
    prober.wait_answer_of(lab.node(node));
    prober.wait_some_answers();
    prober.finish()
}

/// Between the last resignation that it can have heard and its first message, `taker` has waited for
/// its Skew_Time.
#[track_caller]
fn assert_skewed(lab: &Lab, from: Duration, leaver: &str, taker: &str, priority: u8) {
    let first = lab.capture().wait_advert(SOON, taker, from, |advert| advert.priority > 0);
    let words = lab.capture().adverts_of(leaver, from).into_iter();
    let resigned =
        words.filter(|advert| advert.priority == 0 && advert.at < first.at).map(|advert| advert.at);
    let resigned: Vec<Duration> = resigned.collect();
    let (since_first, since_last) = (first.at - resigned[0], first.at - resigned[resigned.len() - 1]);
    eprintln!("{taker} ({priority}) took over {since_first:?} after {leaver} had resigned first");
    assert!(since_first + EARLY > skew_time(priority), "{taker}: {since_first:?}");
    assert!(since_last < skew_time(priority) + LATE, "{taker}: {since_last:?}");
}

/// What a router of ours sent is VRRPv2 with this password, as keepalived reads it.
#[track_caller]
fn assert_of_version_2(adverts: &[Advert], password: Option<&str>) {
    assert!(!adverts.is_empty(), "nothing was sent");
    for advert in adverts {
        let (auth_type, mut data) =
            (u8::from(password.is_some()), password.unwrap_or("").as_bytes().to_vec());
        data.resize(8, 0);
        assert_eq!(
            (advert.version, advert.message[4], advert.interval_cs),
            (2, auth_type, 100),
            "{advert:?}"
        );
        assert_eq!(advert.message[8 + 4 * advert.addresses.len()..], data, "{advert:?}");
        assert_eq!(advert.checksum, Checksum::Message, "{advert:?}");
    }
}

/// `us` serves with the higher priority beside another router, and a client is answered by it.
struct Serving {
    lab: Lab,
    services: Vec<Responder>,
    partner: Partner,
    us: Daemon,
    prober: Prober,
}

impl Serving {
    fn beside(by: Implementation, terms: Terms) -> Self {
        let lab = Lab::new(&["us", "peer", "client"]);
        let services = serve(&lab, &["us", "peer"]);
        let partner = by.start(&lab, 100, terms);
        let us = Daemon::start(lab.node("us"), &Config::of(&terms.ours(200)));
        us.wait_state("web", "active");
        wait_alone(&lab, "us", "peer");
        let prober = ask(&lab, "us");
        Self { lab, services, partner, us, prober }
    }
}

/// We have the higher priority. We are demoted, promoted, stopped and started, and the client notices
/// nothing of the four moves.
pub(super) fn we_leave_and_return(by: Implementation, terms: Terms) {
    let Serving { lab, services: _services, partner: _partner, mut us, prober } = Serving::beside(by, terms);

    let from = lab.capture().now();
    let answer = us.ctl(&["demote", "web"]);
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{by:?} {answer:?}");
    prober.wait_answer_of(lab.node("peer"));
    assert_skewed(&lab, from, "us", "peer", 100);
    assert_eq!(us.ctl(&["promote", "web"]).code, 0);
    us.wait_state("web", "active");
    prober.wait_answer_of(lab.node("us"));
    wait_alone(&lab, "us", "peer");

    let from = lab.capture().now();
    assert!(us.terminate().success(), "an orderly end");
    assert!(!lab.node("us").has(VIP));
    prober.wait_answer_of(lab.node("peer"));
    assert_skewed(&lab, from, "us", "peer", 100);
    us.start_again();
    us.wait_state("web", "active");
    let report = answered_at_last_by(&lab, prober, "us");
    assert_eq!(report.lost, 0, "{by:?} {report:?}");
    assert_eq!(report.sequence, ["us", "peer", "us", "peer", "us"], "{by:?}");
    assert_of_version_2(&lab.capture().adverts_of("us", ms(0)), terms.password);
    terms.assert_kept(&lab);
}

#[test]
fn keepalived_without_a_password_takes_over_from_us_and_gives_back_without_a_lost_request() {
    we_leave_and_return(KEEPALIVED, Terms::multicast(None));
}

#[test]
fn keepalived_with_a_password_takes_over_from_us_and_gives_back_without_a_lost_request() {
    we_leave_and_return(KEEPALIVED, Terms::multicast(SECRET));
}

#[test]
fn frr_takes_over_from_us_and_gives_back_without_a_lost_request() {
    we_leave_and_return(FRR, Terms::multicast(None));
}

#[test]
fn a_vrrpd_with_a_password_takes_over_from_us_and_gives_back_without_a_lost_request() {
    we_leave_and_return(Implementation::Vrrpd, Terms::multicast(SECRET));
}

/// The other one has the higher priority. It is stopped, and we take over; it preempts us, and the
/// client notices nothing; it vanishes, and we take over.
pub(super) fn they_leave_and_return(kind: Kind, terms: Terms) {
    let lab = Lab::new(&["us", "peer", "client"]);
    let _services = serve(&lab, &["us", "peer"]);
    let mut peer = kind.start(&lab, &terms.theirs(200));
    wait_alone(&lab, "peer", "us");
    let us = Daemon::start(lab.node("us"), &Config::of(&terms.ours(100)));
    us.stays(ms(4500), "web", "backup");
    assert!(lab.capture().adverts_of("us", ms(0)).is_empty(), "we spoke beside a live {kind:?}");

    let from = lab.capture().now();
    match &mut peer {
        Peer::Keepalived(process) => assert!(process.terminate().success(), "an orderly end"),
        Peer::Frr(frr) => frr.stop_router(),
    }
    us.wait_state("web", "active");
    assert_eq!(us.instance("web", "ipv4")["cause"], "peer_resigned", "{kind:?}");
    assert_skewed(&lab, from, "peer", "us", 100);

    let prober = ask(&lab, "us");
    let _again = match peer {
        Peer::Keepalived(_) => kind.start(&lab, &terms.theirs(200)),
        Peer::Frr(mut frr) => {
            frr.start_router_again(lab.node("peer"));
            Peer::Frr(frr)
        }
    };
    prober.wait_answer_of(lab.node("peer"));
    us.wait_state("web", "backup");
    wait_alone(&lab, "peer", "us");
    let report = answered_at_last_by(&lab, prober, "peer");
    assert_eq!(report.lost, 0, "{kind:?} {report:?}");

    let from = lab.capture().now();
    lab.cut(lab.node("peer"));
    let first = lab.capture().wait_advert(SOON, "us", from, |_| true);
    let heard = lab.capture().delivered_adverts("us").into_iter().filter(|advert| advert.at < first.at);
    let silence = first.at - heard.map(|advert| advert.at).max().expect("we heard it");
    let expected = Duration::from_secs(3) + skew_time(100);
    assert!(silence + ms(1) > expected && silence < expected + LATE, "{kind:?} {silence:?}");
    lab.heal(lab.node("peer"));
    us.wait_state("web", "backup");
    wait_alone(&lab, "peer", "us");
    terms.assert_kept(&lab);
}

#[test]
fn we_take_over_from_keepalived_without_a_password_and_give_back_without_a_lost_request() {
    they_leave_and_return(Kind::Keepalived, Terms::multicast(None));
}

#[test]
fn we_take_over_from_keepalived_with_a_password_and_give_back_without_a_lost_request() {
    they_leave_and_return(Kind::Keepalived, Terms::multicast(SECRET));
}

#[test]
fn we_take_over_from_frr_and_give_back_without_a_lost_request() {
    they_leave_and_return(Kind::Frr, Terms::multicast(None));
}

/// The best of three leaves and returns, and the second one leaves meanwhile: each time the next one
/// takes over, and the third one stays where it is.
#[test]
fn of_three_the_next_one_takes_over_and_the_last_one_keeps_still() {
    let lab = Lab::new(&["us", "peer", "third", "client"]);
    let _services = serve(&lab, &["us", "peer", "third"]);
    let mut peer = Kind::Keepalived.start(&lab, &theirs(150, SECRET));
    let us = Daemon::start(lab.node("us"), &Config::of(&ours(200, SECRET)));
    let third = Daemon::start(lab.node("third"), &Config::of(&ours(100, SECRET)));
    us.wait_state("web", "active");
    wait_alone(&lab, "us", "peer");
    let prober = ask(&lab, "us");
    let from = lab.capture().now();
    let answer = us.ctl(&["demote", "web"]);
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
    prober.wait_answer_of(lab.node("peer"));
    assert_skewed(&lab, from, "us", "peer", 150);
    wait_alone(&lab, "peer", "us");
    let report = answered_at_last_by(&lab, prober, "peer");
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(report.sequence, ["us", "peer"]);
    assert!(lab.capture().adverts_of("third", ms(0)).is_empty(), "the third one spoke");

    let from = lab.capture().now();
    peer.terminate();
    third.wait_state("web", "active");
    assert_skewed(&lab, from, "peer", "third", 100);
    let prober = ask(&lab, "third");
    assert_eq!(us.ctl(&["promote", "web"]).code, 0);
    us.wait_state("web", "active");
    let report = answered_at_last_by(&lab, prober, "us");
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(report.sequence, ["third", "us"]);
    third.wait_state("web", "backup");
}

/// The vectors P40 to P45, which our own code reads and writes octet by octet, are what the installed
/// peers send.
#[test]
fn the_captured_vectors_are_what_the_peers_send() {
    const BOTH: &[&str] = &["192.0.2.254/24", "192.0.2.253/24"];
    for (kind, password, addresses, [serves, resigns]) in [
        (Kind::Keepalived, None, &BOTH[..1], ["P40", "P41"]),
        (Kind::Keepalived, SECRET, BOTH, ["P42", "P43"]),
        (Kind::Frr, None, &BOTH[..1], ["P44", "P45"]),
    ] {
        let lab = Lab::new(&["peer"]);
        let mut peer = kind.start(&lab, &PeerRouter::new(150, 1000, addresses).version2(password));
        let sent = |priority| {
            let advert = lab.capture().wait_advert(SOON, "peer", ms(0), |advert| advert.priority == priority);
            advert.message
        };
        assert_eq!(sent(150), vector(serves, Form::M).octets(), "{kind:?} {serves}");
        peer.terminate();
        assert_eq!(sent(0), vector(resigns, Form::M).octets(), "{kind:?} {resigns}");
    }
}

/// A pair that does not agree: `us` of this configuration, and a keepalived.
struct Disagreement {
    ours: Router,
    theirs: PeerRouter,
    suspicion: &'static str,
    /// What the warning says.
    says: Vec<&'static str>,
    counter: &'static str,
}

/// Neither hears the other, so that both hold the address; we say so once, and count each message.
///
/// keepalived 2.2.7 waits for another interval with each message that it discards, so that it holds the
/// address and is silent as soon as we are Active. What is counted was heard before that.
fn disagree(case: &Disagreement) {
    let suspicion = case.suspicion;
    let lab = Lab::new(&["us", "peer"]);
    let _peer = Kind::Keepalived.start(&lab, &case.theirs);
    lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
    let us = Daemon::start(lab.node("us"), &Config::of(&case.ours));
    wait_for(SOON, format!("{suspicion}: messages are counted"), || {
        us.counter("web", "ipv4", case.counter) >= 2
    });
    let shown = us.ctl_text(&["show", "web"]);
    assert!(shown.contains(suspicion), "{shown}");
    us.wait_state("web", "active");
    let warned = us.wait_event(suspicion, |event| event["suspicion"] == suspicion);
    assert_eq!(warned["peer"], "192.0.2.11", "{warned}");
    for text in [us.ctl_text(&["events", "-n", "1000"]), us.log()] {
        let told = text.lines().filter(|line| line.contains(&format!("({suspicion})")));
        let [line] = told.collect::<Vec<_>>()[..] else { panic!("{suspicion} is not told once in {text}") };
        assert!(case.says.iter().all(|word| line.contains(word)), "{line}");
        assert!(!text.contains("secret") && !text.contains("differnt"), "no password is shown: {text}");
    }
    stays(ms(3000), format!("{suspicion}: both hold the address"), || {
        us.is("web", "active") && ["us", "peer"].iter().all(|name| lab.node(name).has(VIP))
    });
}

#[test]
fn a_pair_with_another_password_is_told_once_and_counted() {
    disagree(&Disagreement {
        ours: ours(200, SECRET),
        theirs: theirs(100, Some("differnt")),
        suspicion: "authentication_differs",
        says: vec!["192.0.2.11", "another password than this router"],
        counter: "auth_failures",
    });
}

#[test]
fn a_pair_of_which_one_has_a_password_is_told_once_and_counted() {
    for (ours_has, theirs_has, says) in [
        (SECRET, None, "no password, and this router has one"),
        (None, SECRET, "a password, and this router has none"),
    ] {
        disagree(&Disagreement {
            ours: ours(200, ours_has),
            theirs: theirs(100, theirs_has),
            suspicion: "authentication_differs",
            says: vec!["192.0.2.11", says],
            counter: "auth_type_mismatch",
        });
    }
}

#[test]
fn a_pair_with_another_interval_is_told_once_and_counted() {
    disagree(&Disagreement {
        ours: ours(200, SECRET).interval("2s"),
        theirs: theirs(100, SECRET),
        suspicion: "interval_refused",
        says: vec!["192.0.2.11", "advertises every 1s", "this router every 2s"],
        counter: "interval_errors",
    });
}

#[test]
fn a_keepalived_of_version_2_beside_a_router_of_version_3_is_told_once_and_counted() {
    disagree(&Disagreement {
        ours: super::ours(200, "1s", VIP4),
        theirs: theirs(100, None),
        suspicion: "other_version",
        says: vec!["192.0.2.11", "speaks VRRPv2", "this router speaks VRRPv3"],
        counter: "version_errors",
    });
}

/// docs/vrrpv2.md, "From version 2 to version 3", and the same steps back.
#[test]
fn a_pair_moves_to_version_3_and_back_without_a_lost_request_and_without_two_actives() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let _services = serve(&lab, &["fe0", "fe1"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&ours(200, SECRET)));
    fe0.wait_state("web", "active");
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&ours(100, SECRET)));
    fe1.wait_state("web", "backup");
    wait_alone(&lab, "fe0", "fe1");
    let prober = ask(&lab, "fe0");
    let from = lab.capture().now();
    lab.capture().wait_advert(SOON, "fe0", from, |advert| advert.version == 2);
    let of_version_3 = |priority| super::ours(priority, "1s", VIP4);
    for (version, other) in
        [(3, [of_version_3(200), of_version_3(100)]), (2, [200, 100].map(|p| ours(p, SECRET)))]
    {
        let answer = fe1.ctl(&["demote", "--all", "--reason", "to another version"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        for (daemon, router) in [&fe1, &fe0].into_iter().zip(other.iter().rev()) {
            let config = Config::of(router);
            daemon.write_config(config.text());
            assert_eq!(daemon.ctl(&["reload"]).code, 0);
        }
        assert!(fe0.is("web", "active"));
        assert_eq!(fe1.ctl(&["promote", "--all"]).code, 0);
        fe1.wait_state("web", "backup");
        let reloaded = lab.capture().now();
        lab.capture().wait_advert(SOON, "fe0", reloaded, |advert| advert.version == version);
        // A Backup that heard nothing would speak after its Active_Down_Interval of 3.6 s.
        fe1.stays(ms(4500), "web", "backup");
        wait_for(SOON, "fe1 hears fe0", || fe1.instance("web", "ipv4")["active"]["address"] == "192.0.2.10");
    }
    let quiet = lab.capture().adverts_of("fe1", ms(0));
    assert!(quiet.is_empty(), "two Actives: {quiet:?}");
    let spoken = lab.capture().adverts_of("fe0", from);
    assert!(spoken.iter().all(|advert| advert.priority == 200), "{spoken:?}");
    for pair in spoken.windows(2) {
        assert!(pair[1].at - pair[0].at < Duration::from_secs(1) + LATE, "fe0 was silent: {pair:?}");
    }
    let mut versions: Vec<u8> = spoken.iter().map(|advert| advert.version).collect();
    versions.dedup();
    assert_eq!(versions, [2, 3, 2]);
    let report = answered_at_last_by(&lab, prober, "fe0");
    assert_eq!((report.lost, &report.sequence[..]), (0, &["fe0".to_owned()][..]), "{report:?}");
    let announced = lab.capture().announcements(from).into_iter();
    assert_eq!(announced.filter(|seen| seen.node == "fe1" && seen.address == ip(VIP)).count(), 0);

    // The Backup is one: it takes over.
    let answer = fe0.ctl(&["demote", "web"]);
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
    fe1.wait_state("web", "active");
}

/// What a killed daemon left behind is handed over by `vrrpd --clean-up`, which serves until then.
fn is_killed_and_cleaned_up(by: Implementation, terms: Terms) {
    let Serving { lab, services: _services, partner: _partner, mut us, prober } = Serving::beside(by, terms);
    let killed = lab.capture().now();
    us.kill();
    let (code, out, err, took) = us.clean_up();
    assert_eq!(code, 0, "{by:?} {out}{err}");
    assert!(!lab.node("us").has(VIP), "{by:?} {out}");
    let report = answered_at_last_by(&lab, prober, "peer");
    assert_skewed(&lab, killed, "us", "peer", 100);
    let first = lab.capture().wait_advert(SOON, "peer", killed, |advert| advert.priority == 100);
    eprintln!("{by:?}: took over {:?} after the kill, {took:?}, {out}", first.at - killed);
    assert!(first.at - killed < ms(2600), "{by:?}: sooner than by its own timer");
    assert_eq!(report.lost, 0, "{by:?} {report:?}");
    assert_of_version_2(&lab.capture().adverts_of("us", killed), terms.password);
}

#[test]
fn what_a_killed_daemon_left_is_handed_over_to_keepalived_without_a_lost_request() {
    is_killed_and_cleaned_up(KEEPALIVED, Terms::multicast(SECRET));
}

#[test]
fn what_a_killed_daemon_left_is_handed_over_to_frr_without_a_lost_request() {
    is_killed_and_cleaned_up(FRR, Terms::multicast(None));
}

#[test]
fn what_a_killed_daemon_left_is_handed_over_to_a_vrrpd_without_a_lost_request() {
    is_killed_and_cleaned_up(Implementation::Vrrpd, Terms::multicast(SECRET));
}

/// The other one hears nothing of the first round of resignations, and takes over a Skew_Time after the
/// second one.
#[test]
fn the_clean_up_serves_until_a_router_has_taken_over_that_heard_its_second_round_only() {
    let Serving { lab, services: _services, partner: _partner, mut us, prober } =
        Serving::beside(Implementation::Vrrpd, Terms::multicast(SECRET));
    let killed = lab.capture().now();
    us.kill();
    lab.lose_adverts_of(lab.node("us"), 100);
    let (code, out, err, took) = std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| us.clean_up());
        // It asks whether another router is Active, and resigns three times.
        wait_for(SOON, "the first round is said", || lab.capture().adverts_of("us", killed).len() >= 4);
        lab.lose_nothing_of(lab.node("us"));
        cleaning.join().expect("the clean-up")
    });
    assert_eq!(code, 0, "{out}{err}");
    let report = answered_at_last_by(&lab, prober, "peer");
    let first = lab.capture().wait_advert(SOON, "peer", killed, |advert| advert.priority == 100);
    let heard = lab.capture().delivered_adverts("peer").into_iter().filter(|advert| advert.priority == 0);
    let resigned = heard.map(|advert| advert.at).find(|at| *at > killed).expect("it heard the second round");
    let said = lab.capture().adverts_of("us", killed)[0].at;
    assert!(resigned - said > ms(1000), "it heard the first round, too");
    assert!(first.at > resigned + skew_time(100) - ms(1) && first.at < resigned + skew_time(100) + LATE);
    assert_eq!(report.lost, 0, "{took:?} {out} {report:?}");
    assert!(out.contains("192.0.2.11 took over"), "{out}");
    assert!(!lab.node("us").has(VIP));
}
