//! The test harness itself must be able to see a loss. Otherwise every "nothing was lost" would be
//! worthless.

use super::WEB;
use super::support::prober::Responder;
use super::support::{Lab, Prober, SOON, ms, wait_for};
use super::turning::announce;

#[test]
fn the_client_notices_a_cut_and_the_switch_does_not_show_it_as_a_carrier_change() {
    let lab = Lab::new(&["fe0", "client"]);
    let fe0 = lab.node("fe0");
    fe0.ns.ip("address add 192.0.2.50/24 dev eth0");
    let _service = Responder::start(fe0, WEB);

    let prober = Prober::start(lab.node("client"), WEB, 1000);
    prober.wait_answer_of(fe0);
    prober.wait_some_answers();
    let undisturbed = prober.finish();
    assert_eq!((undisturbed.lost, undisturbed.longest_gap), (0, ms(0)), "{undisturbed:?}");
    assert_eq!(undisturbed.sequence, ["fe0"]);

    let prober = Prober::start(lab.node("client"), WEB, 1000);
    prober.wait_some_answers();
    lab.cut(fe0);
    let cut = lab.capture().now();
    wait_for(SOON, "requests sent in vain", || lab.capture().frames(cut).len() > 50);
    assert_eq!(fe0.link("eth0")["operstate"], "UP");
    lab.heal(fe0);
    prober.wait_some_answers();
    let disturbed = prober.finish();
    assert!(disturbed.lost >= 50 && disturbed.longest_gap >= ms(50), "{disturbed:?}");
}

/// Requests that a peer loses by itself are counted apart from those that we lose.
#[test]
fn a_router_that_announces_before_it_can_answer_is_found_out() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let _services = [fe0, fe1].map(|node| Responder::start(node, WEB));
    let add = format!("address add {WEB}/24 dev eth0");
    fe0.ns.ip(&add);
    let prober = Prober::start(lab.node("client"), WEB, 1000);
    prober.wait_some_answers();
    // What fe0 loses before that is not caused by fe1.
    lab.cut(fe0);
    let cut = lab.capture().now();
    wait_for(SOON, "requests sent in vain", || lab.capture().frames(cut).len() > 50);
    lab.heal(fe0);
    prober.wait_some_answers();
    let early = lab.capture().now();
    announce(fe1, WEB);
    wait_for(SOON, "requests sent in vain", || lab.capture().frames(early).len() > 50);
    fe1.ns.ip(&add);
    prober.wait_answer_of(fe1);
    let report = prober.finish();
    let theirs = report.announced_too_early(&lab, fe1, WEB);
    assert!(theirs > 0 && report.lost >= theirs + 50, "{theirs} of {report:?}");
    assert_eq!(report.announced_too_early(&lab, fe0, WEB), 0);
}
