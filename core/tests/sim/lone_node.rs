//! One node with several routers on two interfaces is given random inputs, and does what the
//! reference predicts.

use vrrpd_core::sim::lone_node::run;

/// This number of seeds is enough for every kind of input in every state, and quick in an
/// unoptimised build.
const SEEDS: u64 = 40;

/// `SIM_FROM=… SIM_SEEDS=… cargo test -p vrrpd-core --test sim lone_node` runs other seeds.
#[test]
fn it_does_what_the_reference_predicts() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let from = number("SIM_FROM").unwrap_or(0);
    let (mut inputs, mut advertisements, mut unicast) = (0, 0, 0);
    let until = from.saturating_add(number("SIM_SEEDS").unwrap_or(SEEDS));
    for seed in from..until {
        match run(seed) {
            Ok(done) => {
                inputs += done.inputs;
                advertisements += done.advertisements;
                unicast += done.unicast;
            }
            Err(failure) => {
                panic!("seed {seed}: {:?}\n{}", failure.difference, failure.trace);
            }
        }
    }
    println!("{inputs} inputs, {advertisements} advertisements, {unicast} of them to listed nodes");
    let seeds = until - from;
    assert!(inputs > seeds * 300 && advertisements > seeds * 20, "too quiet to prove anything");
    assert!(unicast > seeds * 4, "too few nodes had a list");
}
