//! Our readers of JSON against serde_json: what they accept is the same to it, and what they
//! refuse beyond it has one of the reasons that are documented.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use libfuzzer_sys::fuzz_target;
    use serde_json::{Map, Value};
    use tower_mcp_auth::fuzzing;
    use tower_mcp_auth_fuzz::json::{Facts, is_skipped, skipped_facts};

    /// As the arguments of a call and the claims of a token are read.
    const MAX_DEPTH: u32 = 32;
    /// As what was checked before is passed by.
    const SKIPPED_DEPTH: u32 = 128;

    fuzz_target!(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            assert!(fuzzing::json_object(bytes).is_err());
            // A string with wrong bytes may stand in an object.
            let _ = fuzzing::json_is_object(bytes);
            return;
        };
        let facts = Facts::of(text);
        value(text, facts.as_ref());
        members(text, facts.as_ref());
        skipped(text);
    });

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("it has facts")
    }

    fn value(text: &str, facts: Option<&Facts>) {
        let fault = match (fuzzing::json_value(text, MAX_DEPTH), facts) {
            (Ok(_), None) => panic!("serde_json refuses it"),
            (Err(_), None) => return,
            (Ok(ours), Some(facts)) => {
                assert!(facts.is_plain(MAX_DEPTH), "{facts:?}");
                let theirs = read(text);
                assert!(ours == theirs);
                assert_eq!(serde_json::to_value(&ours).unwrap(), theirs);
                return;
            }
            (Err(fault), Some(_)) => fault,
        };
        let facts = facts.unwrap();
        let is_so = match &*fault {
            "Depth" => facts.depth > MAX_DEPTH,
            "Twice" => facts.duplicate,
            "Reserved" => facts.reserved,
            "Syntax" => facts.huge_number,
            "Long" => facts.long_name,
            _ => false,
        };
        assert!(is_so, "{fault}, {facts:?}");
    }

    fn members(text: &str, facts: Option<&Facts>) {
        let is_object = text.trim_ascii_start().starts_with('{');
        let known = fuzzing::json_is_object(text.as_bytes());
        if is_skipped(text) {
            assert_eq!(known, is_object);
        } else if known {
            // It went on no further than to what it is refused for.
            assert!(is_object);
            let fault = fuzzing::json_check(text).unwrap_err();
            assert!(matches!(&*fault, "Depth" | "Reserved"), "{fault}");
        }
        let members = fuzzing::json_members(text);
        let object = fuzzing::json_object(text.as_bytes());
        assert_eq!(members.is_ok(), object.is_ok());
        let fault = match (members, facts) {
            (Ok(_), None) => panic!("serde_json refuses it"),
            (Err(_), None) => return,
            (Ok(members), Some(facts)) => {
                assert!(is_object && facts.is_plain(MAX_DEPTH), "{facts:?}");
                let count = members.len();
                let ours: Map<String, Value> = members.into_iter().collect();
                assert_eq!(ours.len(), count);
                assert_eq!(object.as_ref(), Ok(&ours));
                assert_eq!(Value::Object(ours), read(text));
                return;
            }
            (Err(fault), Some(_)) => fault,
        };
        let facts = facts.unwrap();
        let is_so = match &*fault {
            "TooDeep" => facts.depth > MAX_DEPTH,
            "Duplicate" => facts.duplicate,
            "ReservedName" => facts.reserved,
            "NotOneObject" => {
                !is_object || facts.huge_number || facts.long_name || facts.long_string
            }
            _ => false,
        };
        assert!(is_so, "{fault}, {facts:?}");
    }

    fn skipped(text: &str) {
        let ours = fuzzing::json_check(text);
        if !is_skipped(text) {
            assert!(ours.is_err());
            return;
        }
        let (depth, reserved) = skipped_facts(text);
        let is_so = match ours.as_ref().map_err(String::as_str) {
            Ok(()) => depth <= SKIPPED_DEPTH && !reserved,
            Err("Depth") => depth > SKIPPED_DEPTH,
            Err("Reserved") => reserved,
            Err(_) => false,
        };
        assert!(is_so, "{ours:?}, {depth}, {reserved}");
    }
}

/// What it reads is public under `--cfg fuzzing` alone, which cargo-fuzz sets.
#[cfg(not(fuzzing))]
fn main() {}
