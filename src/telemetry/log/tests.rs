use super::*;
use crate::agent::{AgentEvent, NodeNames};
use crate::protocol::{Cause, EventKind, Fault, StateName, TransitionDetails};
use crate::types::{AdvertPriority, Family, InstanceKey, Vrid};
use std::time::Duration;

fn record(kind: EventKind) -> EventRecord {
    let key = InstanceKey {
        interface: "eth0".parse().unwrap(),
        family: Family::Ipv4,
        vrid: Vrid::new(51).unwrap(),
    };
    let router = Some("moodle-a".parse().unwrap());
    let event = AgentEvent { router, key: Some(key), kind: kind.into(), names: NodeNames::default() };
    EventRecord { seq: 7, time: jiff::Timestamp::UNIX_EPOCH, event }
}

fn transition() -> EventRecord {
    record(EventKind::Transition {
        from: StateName::Backup,
        to: StateName::Active,
        cause: Cause::ActiveDownTimer,
        priority: AdvertPriority::from_wire(150),
        details: TransitionDetails { lasted: Duration::from_millis(3414), ..TransitionDetails::default() },
    })
}

fn carrier_lost() -> EventRecord {
    record(EventKind::FaultRaised(Fault::NoCarrier("eth0".parse().unwrap())))
}

fn logged(style: LineStyle, filter: &str, records: &[EventRecord]) -> String {
    captured(style, filter, || records.iter().for_each(log_event))
}

fn captured(style: LineStyle, filter: &str, log: impl FnOnce()) -> String {
    let captured = LineBuffer::default();
    let writer = captured.clone();
    let subscriber = subscriber(style, levels::parse(filter).unwrap(), move || writer.clone());
    tracing::subscriber::with_default(subscriber, log);
    let bytes = captured.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_event_is_one_json_line_with_its_values_as_fields() {
    let text = logged(LineStyle::Json, "info", &[transition()]);
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["kind"], "transition");
    assert_eq!(line["router"], "moodle-a");
    assert_eq!(line["vrid"], 51);
    assert_eq!((&line["from"], &line["to"]), (&"backup".into(), &"active".into()));
    assert_eq!(line["cause"], "active_down_timer");
    assert_eq!(line["priority"], 150);
    assert_eq!(line.get("peer"), None, "no value, no field");
}

#[test]
fn a_line_names_the_other_node_in_its_text_and_in_a_field() {
    let address = "192.0.2.11".parse().unwrap();
    let mut record = record(EventKind::HandedOver { to: address, after: Duration::from_millis(18) });
    record.event.names = NodeNames::from_iter([(address, "fe1")]);
    let records = [record];
    let text = logged(LineStyle::Terminal, "info", &records);
    assert!(text.ends_with(" INFO moodle-a ipv4: fe1 (192.0.2.11) took over after 18 ms\n"), "{text}");
    let line: serde_json::Value = serde_json::from_str(&logged(LineStyle::Json, "info", &records)).unwrap();
    assert_eq!((&line["peer"], &line["peer_node"]), (&"192.0.2.11".into(), &"fe1".into()));
}

/// A document with a value for each field that the schema of events has.
fn everything() -> serde_json::Value {
    let schema = include_str!("../../../docs/json-schema/events.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let fields = schema["$defs"]["event"]["properties"].as_object().unwrap();
    let sample = |(name, rule): (&String, &serde_json::Value)| {
        let value = match (name.as_str(), rule["type"].as_str(), rule["enum"].get(0)) {
            ("time", ..) => "1970-01-01T00:00:00.000Z".into(),
            ("peer", ..) => "192.0.2.11".into(),
            ("mac", ..) => "02:00:00:aa:bb:cc".into(),
            ("mac_before", ..) => "02:00:00:00:00:01".into(),
            ("addresses", ..) => serde_json::json!(["192.0.2.50", "2001:db8::50"]),
            ("weights", ..) => serde_json::json!({ "haproxy": -60, "nginx": 5 }),
            ("reasons", ..) => serde_json::json!({ "fe1": "check nginx fails", "fe2": "demoted" }),
            (_, _, Some(first)) => first.clone(),
            (_, Some("integer"), _) => 7.into(),
            (_, Some("number"), _) => 18.3.into(),
            (_, Some("boolean"), _) => true.into(),
            (name, ..) => format!("some {name}").into(),
        };
        (name.clone(), value)
    };
    fields.iter().map(sample).collect()
}

#[test]
fn every_field_of_an_event_is_in_its_json_line() {
    let event = everything();
    let doc: EventDoc = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(serde_json::to_value(&doc).unwrap(), event, "the schema has what events have");
    let text = captured(LineStyle::Json, "info", || log_doc(Severity::Info, &doc));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, value) in event.as_object().unwrap() {
        let (name, value) = match name.as_str() {
            // A log line has a time and a level of its own.
            "time" | "severity" => continue,
            "name" => ("router", value.clone()),
            "text" => ("message", value.clone()),
            // A field is one value, so a list becomes a text.
            "addresses" => ("addresses", "192.0.2.50 2001:db8::50".into()),
            "weights" => ("weights", "haproxy=-60 nginx=5".into()),
            "reasons" => ("reasons", "fe1: check nginx fails; fe2: demoted".into()),
            name => (name, value.clone()),
        };
        assert_eq!(line[name], value, "{name}");
    }
}

#[test]
fn a_journal_line_begins_with_its_level_and_has_no_time_of_its_own() {
    let text = logged(LineStyle::Journal, "info", &[transition(), carrier_lost()]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("<6> INFO moodle-a ipv4: BACKUP → ACTIVE"), "{text}");
    assert!(lines[1].starts_with("<4> WARN moodle-a ipv4: FAULT: interface eth0"), "{text}");
    assert!(!text.contains('='), "values that the sentence has are not said twice: {text}");
}

#[test]
fn the_filter_leaves_out_what_nobody_asked_for() {
    let text = logged(LineStyle::Terminal, "warn", &[transition(), carrier_lost()]);
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains(" WARN moodle-a ipv4: FAULT: "), "{text}");
}

#[test]
fn log_formats_have_two_names() {
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("xml".parse::<LogFormat>(), Err(LogFormatError));
}

#[test]
fn lost_lines_are_told_of_in_the_form_of_all_lines() {
    let told = |style| String::from_utf8(apology(style, 17)).unwrap();
    assert!(told(LineStyle::Journal).starts_with("<4> WARN 17 log lines were lost: "));
    assert!(told(LineStyle::Terminal).contains("  WARN 17 log lines were lost: "));
    let json: serde_json::Value = serde_json::from_str(&told(LineStyle::Json)).unwrap();
    assert_eq!((&json["level"], &json["lost"]), (&"WARN".into(), &17.into()));
    assert!(told(LineStyle::Json).ends_with('\n'), "a line");
}

#[test]
fn a_line_that_is_no_event_has_its_values_and_nothing_in_it_steers_a_terminal() {
    let line = LineBuffer::default();
    let writer = line.clone();
    let levels = levels::parse("").unwrap();
    tracing::subscriber::with_default(subscriber(LineStyle::Journal, levels, move || writer.clone()), || {
        tracing::info!(routers = 3, file = "a\u{1b}[31m", "started");
        tracing::info!(target: EVENT_TARGET, "a hook said \u{1b}[31m\u{7}red");
    });
    let text = String::from_utf8(line.lock().clone()).unwrap();
    assert_eq!(
        text,
        "<6> INFO started routers=3 file=\"a\\u{1b}[31m\"\n<6> INFO a hook said \u{fffd}[31m\u{fffd}red\n"
    );
}
