//! The harness itself: it must be able to see a loss, or every "nothing was lost" is worth nothing.

use super::WEB;
use super::support::prober::Responder;
use super::support::{Lab, Prober, SOON, ms, wait_for};

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
