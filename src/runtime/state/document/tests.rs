use super::super::document;
use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// One hour after boot, on 2026-11-23 at noon.
fn noon() -> Moment {
    Moment { mono: MonoTime::ZERO + 3600 * SECOND, wall: "2026-11-23T12:00:00Z".parse().unwrap() }
}

fn later(moment: Moment, by: Duration) -> Moment {
    let wall = moment.wall.checked_add(SignedDuration::try_from(by).unwrap()).unwrap();
    Moment { mono: moment.mono + by, wall }
}

fn name(name: &str) -> RouterName {
    name.parse().unwrap()
}

fn file(until: &str) -> String {
    format!(
        r#"{{"version": 1, "demotions": [{{"name": "web", "since": "2026-11-23T11:00:00.000Z",
        "until": {until}, "last_resort": false, "reason": "kernel update", "by": "alice"}}]}}"#
    )
}

fn recalled(text: &str, now: Moment) -> (Demotions, Vec<RouterName>) {
    recall(parse(text.as_bytes()).unwrap(), now)
}

#[test]
fn the_file_is_for_people_too() {
    let demotion = Demotion {
        since: "2026-11-23T11:00:00.123Z".into(),
        until: Some(Until { at: MonoTime::ZERO, text: "2026-11-23T12:30:00.000Z".into() }),
        last_resort: LastResort::Yes,
        reason: "kernel \"update\"".into(),
        by: "alice".into(),
    };
    let text = document::text(&[(name("web"), demotion)].into());
    assert_eq!(
        text,
        r#"{
  "version": 1,
  "demotions": [
    {
      "name": "web",
      "since": "2026-11-23T11:00:00.123Z",
      "until": "2026-11-23T12:30:00.000Z",
      "last_resort": true,
      "reason": "kernel \"update\"",
      "by": "alice"
    }
  ]
}
"#
    );
}

#[test]
fn an_end_is_where_the_wall_clock_puts_it() {
    let (demotions, expired) = recalled(&file("\"2026-11-23T12:30:00Z\""), noon());
    let until = demotions[&name("web")].until.clone().unwrap();
    assert_eq!(until.at, noon().mono + 1800 * SECOND);
    assert_eq!(until.text, "2026-11-23T12:30:00.000Z");
    assert_eq!(expired, []);
}

#[test]
fn a_demotion_whose_time_is_up_is_not_recalled() {
    for until in ["2026-11-23T11:30:00Z", "2026-11-23T12:00:00Z", "2026-11-23T10:00:00Z"] {
        let (demotions, expired) = recalled(&file(&format!("{until:?}")), noon());
        assert_eq!((demotions.len(), expired), (0, vec![name("web")]), "{until}");
    }
    let (demotions, expired) = recalled(&file("null"), later(noon(), 86_400 * 365 * SECOND));
    assert_eq!((demotions.len(), expired.len()), (1, 0), "without an end it holds");
}

#[test]
fn a_clock_that_is_years_behind_makes_no_demotion_longer_than_asked() {
    let boot = Moment { mono: MonoTime::ZERO, wall: Timestamp::UNIX_EPOCH };
    let (demotions, _) = recalled(&file("\"2026-11-23T12:30:00Z\""), boot);
    assert_eq!(demotions[&name("web")].until.as_ref().unwrap().at, MonoTime::ZERO + 5400 * SECOND);
}

#[test]
fn what_is_no_such_file_is_refused_with_the_reason() {
    let good = file("null");
    let twice = good.replace("[{", "[{\"name\": \"web\", \"since\": \"2026-11-23T11:00:00Z\", \"until\": null, \"last_resort\": true, \"reason\": \"\", \"by\": \"\"}, {");
    for (text, complaint) in [
        (String::new(), "EOF"),
        ("\0\0\0\0".to_owned(), "expected value"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        ("[]".to_owned(), "invalid length"),
        ("{}".to_owned(), "version"),
        (good.replace("\"version\": 1", "\"version\": 2"), "has version 2"),
        (good.replace("\"until\"", "\"untill\""), "untill"),
        (good.replace("\"by\": \"alice\"", "\"by\": 7"), "invalid type"),
        (good.replace("\"web\"", "\"a b\""), "\"a b\""),
        (good.replace("2026-11-23T11", "yesterday"), "is not a time"),
        (file("\"soon\""), "is not a time"),
        (twice, "twice"),
        (good.replace("\"until\"", &format!("{:?}", "x".repeat(100_000))), "xxx…"),
        (good.replace("web", &"a ".repeat(100_000)), "a a…"),
        (" ".repeat(usize::try_from(LARGEST).unwrap() + 1), "too large"),
    ] {
        let damage = parse(text.as_bytes()).expect_err(complaint).to_string();
        assert!(damage.contains(complaint), "{damage}");
        assert!(damage.chars().count() < 300, "{damage}");
    }
    assert!(parse(good.as_bytes()).is_ok());
}

fn any_demotion() -> impl Strategy<Value = Demotion> {
    let span = prop_oneof![Just(None), (1_u64..31_622_400_000).prop_map(Some)];
    // The reasons that an operator may give have no control characters.
    (span, any::<bool>(), "\\PC{0,40}", "\\PC{0,20}").prop_map(|(span, last_resort, reason, by)| {
        let until = span.map(Duration::from_millis).map(|span| {
            let then = later(noon(), span);
            Until { at: then.mono, text: format!("{:.3}", then.wall) }
        });
        let last_resort = if last_resort { LastResort::Yes } else { LastResort::No };
        Demotion { since: format!("{:.3}", noon().wall), until, last_resort, reason, by }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_recalled(
        demotions in prop::collection::btree_map("[A-Za-z0-9._][A-Za-z0-9._-]{0,63}", any_demotion(), 0..6),
        asleep in 0_u64..1_000,
    ) {
        let demotions: Demotions = demotions.iter().map(|(n, d)| (name(n), d.clone())).collect();
        // Some time passes on both clocks. A restart does not change when a demotion ends.
        let now = later(noon(), Duration::from_millis(asleep));
        let (recalled, expired) = recall(parse(document::text(&demotions).as_bytes()).unwrap(), now);
        for (name, demotion) in &demotions {
            let over = demotion.until.as_ref().is_some_and(|until| until.at <= now.mono);
            prop_assert_eq!(over, expired.contains(name));
            prop_assert_eq!(recalled.get(name), Some(demotion).filter(|_| !over));
        }
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets: Vec<u8>) {
        let _ = parse(&octets);
    }

    #[test]
    fn no_torn_file_is_taken_for_a_whole_one(keep in 0_usize..200) {
        let whole = file("\"2026-11-23T12:30:00Z\"");
        prop_assert!(parse(&whole.as_bytes()[..keep.min(whole.len() - 1)]).is_err());
    }
}

#[test]
fn texts_that_nobody_may_give_are_cut_and_cleaned() {
    let text =
        file("null").replace("kernel update", &"é".repeat(100_000)).replace("alice", "\\u001b[2Jalice");
    let (demotions, _) = recalled(&text, noon());
    let demotion = &demotions[&name("web")];
    assert_eq!(demotion.reason, "é".repeat(Demotion::REASON_MAX - 1) + "…");
    assert_eq!(demotion.by, "\u{fffd}[2Jalice");
    let longest = "é".repeat(Demotion::REASON_MAX);
    let (demotions, _) = recalled(&file("null").replace("kernel update", &longest), noon());
    assert_eq!(demotions[&name("web")].reason, longest, "what an operator may give is kept");
}
