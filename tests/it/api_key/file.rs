//! Keys in a file: what it may hold, and what happens when it changes.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tower_mcp_auth::api_key::{ApiKey, KeyDigest, KeyFile};
use tower_mcp_auth::{ApiKeyLayer, Clock, ConfigError};
use tracing::Level;

use crate::api_key::life::{at, new_key, pepper, with_key};
use common::{API_KEY, NOW, ask, clock, trace};

/// A file of this test's own, removed at the end.
struct Temp(PathBuf);

impl Temp {
    fn new(extension: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("tower-mcp-auth-{}-{number}.{extension}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn holding(extension: &str, text: &str) -> Self {
        let file = Self::new(extension);
        file.write(text);
        file
    }

    /// As the documents ask for: a new file, renamed.
    fn write(&self, text: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, text).unwrap();
        mode(&next, 0o600);
        fs::rename(next, &self.0).unwrap();
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn layer(&self) -> ApiKeyLayer {
        let layer = ApiKeyLayer::from_file(KeyFile::new(self.path())).unwrap();
        layer.clock(clock())
    }

    fn error(&self) -> String {
        let error = ApiKeyLayer::from_file(KeyFile::new(self.path())).unwrap_err();
        assert_eq!(error.setting(), "key_file");
        error.to_string()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

fn json(keys: &[&KeyDigest]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|digest| format!(r#"{{"digest":"{digest}"}}"#))
        .collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

#[tokio::test]
async fn a_key_in_a_file_has_all_that_a_key_can_have() {
    let new = new_key();
    let digest = new.digest();
    // 1_800_000_000 is 2027-01-15T08:00:00Z.
    let json = |times: &str| {
        format!(
            r#"{{"keys": [{{"digest": "{digest}", "id": "the-id", "name": "laptop",
                "owner": "alice", "scopes": ["mcp:read", "mcp:write"], {times}}}]}}"#
        )
    };
    let toml = |times: &str| {
        format!(
            "[[keys]]\ndigest = \"{digest}\"\nid = \"the-id\"\nname = \"laptop\"\n\
             owner = \"alice\"\nscopes = [\"mcp:read\", \"mcp:write\"]\n{times}\n"
        )
    };
    let mut files = vec![
        (
            "json",
            json(r#""created_at": 1799999000, "not_before": 1800000000, "expires_at": 1800000100"#),
        ),
        (
            "json",
            json(
                r#""not_before": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T09:01:40+01:00""#,
            ),
        ),
        (
            "json",
            json(
                r#""not_before": "2027-01-15t08:00:00.5z", "expires_at": "2027-01-14 23:01:40.123-09:00""#,
            ),
        ),
    ];
    files.extend([
        (
            "toml",
            toml("created_at = 2027-01-15T07:43:20Z\nnot_before = 1800000000\nexpires_at = \"2027-01-15T08:01:40Z\""),
        ),
        (
            "toml",
            toml("expires_at = 2027-01-15T08:01:40Z\nnot_before = 2027-01-15T08:00:00Z"),
        ),
        (
            "toml",
            toml("expires_at = 2027-01-15 10:01:40+02:00\nrevoked = false"),
        ),
    ]);
    for (extension, text) in files {
        let file = Temp::holding(extension, &text);
        let clock = clock();
        let layer = file.layer().clock(clock.clone());
        let answer = ask(&layer, with_key(new.expose())).await;
        let principal = answer.principal();
        assert_eq!(principal.subject(), Some("alice"));
        assert_eq!(principal.scopes().as_str(), "mcp:read mcp:write");
        assert_eq!(principal.claims()["key_id"], "the-id");
        assert_eq!(principal.claims()["key_name"], "laptop");
        assert_eq!(principal.expires_at(), Some(at(NOW + 100)), "{text}");
        let created_at = text.contains("created_at").then(|| at(NOW - 1000));
        assert_eq!(principal.issued_at(), created_at, "{text}");
        clock.advance(Duration::from_secs(100));
        ask(&layer, with_key(new.expose()))
            .await
            .invalid("expired_api_key");
    }
}

#[tokio::test]
async fn revoked_early_and_foreign_keys_are_what_they_are() {
    let (revoked, early) = (new_key(), new_key());
    let foreign = KeyDigest::from_external(API_KEY, &pepper()).unwrap();
    let file = Temp::holding(
        "json",
        &format!(
            r#"{{"keys": [{{"digest": "{}", "revoked": true}}, {{"digest": "{foreign}", "owner": "bob"}},
                {{"digest": "{}", "not_before": "2027-01-15T08:00:01Z", "id": null}}]}}"#,
            revoked.digest(),
            early.digest(),
        ),
    );
    let error = file.error();
    assert!(error.contains("pepper"), "{error}");
    let keys = KeyFile::new(file.path()).pepper(pepper());
    let layer = ApiKeyLayer::from_file(keys).unwrap().clock(clock());
    ask(&layer, with_key(revoked.expose()))
        .await
        .invalid("revoked_api_key");
    ask(&layer, with_key(early.expose()))
        .await
        .invalid("not_yet_valid_api_key");
    let answer = ask(&layer, with_key(API_KEY)).await;
    assert_eq!(answer.principal().subject(), Some("bob"));
}

#[test]
fn a_bad_file_is_refused_by_the_place_and_without_a_value() {
    let digest = new_key().digest();
    let key = |member: &str| {
        format!(
            r#"{{"keys": [{{"digest": "{digest}"}}, {{"digest": "{}", {member}}}]}}"#,
            new_key().digest()
        )
    };
    let secret = "acme_V5f2Q0sYx8Lk_0pZ3nD6wJt9RrB1cFh7Ug4KmE8aXy2Qs0ztSHr";
    for (text, expected) in [
        (String::new(), "is not JSON: line 1"),
        (
            r#"{"keys": [{"$serde_json::private::RawValue": "1"}]}"#.to_owned(),
            "has a member with a name that begins with",
        ),
        (
            key(r#""revoked": true, "revoked": false"#),
            "has a member twice",
        ),
        (
            r#"{"keys": [], "keys": []}"#.to_owned(),
            "has a member twice",
        ),
        ("{\n\"keys\": [\n".to_owned(), "is not JSON: line 3"),
        (format!("{{\"keys\": [{secret}"), "is not JSON: line 1"),
        ("[]".to_owned(), "no object with the member `keys`"),
        ("{}".to_owned(), "has no list `keys`"),
        (r#"{"keys": {}}"#.to_owned(), "has no list `keys`"),
        (
            format!(r#"{{"keys": ["{secret}"]}}"#),
            "has no key at keys[0]",
        ),
        (
            r#"{"keys": [], "kyes": []}"#.to_owned(),
            "the unknown member kyes",
        ),
        (
            r#"{"keys": [{"name": "x"}]}"#.to_owned(),
            "has no keys[0].digest",
        ),
        (
            r#"{"keys": [{"digest": 7712345}]}"#.to_owned(),
            "at keys[0].digest: a text is expected",
        ),
        (
            format!(r#"{{"keys": [{{"digest": "{secret}"}}]}}"#),
            "at keys[0].digest: digest: ",
        ),
        (
            format!(r#"{{"keys": [{{"digest": "{digest}", "{secret}": 1}}]}}"#),
            "an unknown member in keys[0].",
        ),
        (
            format!(r#"{{"keys": [{{"digest": "{digest}"}}, {{"digest": "{digest}"}}]}}"#),
            "there twice",
        ),
        (
            key(r#""expires": 7712345"#),
            "the unknown member keys[1].expires",
        ),
        (key(r#""name": 7712345"#), "at keys[1].name: a text"),
        (key(r#""owner": ["x"]"#), "at keys[1].owner: a text"),
        (
            key(r#""scopes": "a b""#),
            "at keys[1].scopes: a list of texts",
        ),
        (
            key(r#""scopes": ["a", 7712345]"#),
            "at keys[1].scopes: a list of texts",
        ),
        (key(r#""scopes": ["a b"]"#), "at keys[1].scopes: scopes: "),
        (
            key(r#""revoked": "no""#),
            "at keys[1].revoked: `true` or `false`",
        ),
        (
            key(r#""expires_at": -7712345"#),
            "at keys[1].expires_at: a time like",
        ),
        (
            key(r#""expires_at": 1.5"#),
            "at keys[1].expires_at: a time like",
        ),
        (
            key(r#""not_before": 20, "expires_at": 10"#),
            "at keys[1]: expires_at: ",
        ),
    ] {
        let error = Temp::holding("json", &text).error();
        assert!(error.contains(expected), "{error}\n{expected}");
        for value in ["V5f2Q0", "7712345", &digest.to_string()[7..]] {
            assert!(!error.contains(value), "{error}");
        }
    }
    assert!(
        Temp::holding("yaml", "keys: []")
            .error()
            .contains("neither `.json` nor `.toml`")
    );
    assert!(Temp::new("json").error().contains("cannot be read"));
    let folder = ApiKeyLayer::from_file(KeyFile::new(std::env::temp_dir()));
    assert!(
        folder
            .unwrap_err()
            .to_string()
            .contains("is no regular file")
    );
    let error = Temp::holding("toml", &format!("a = 1\nkeys = {secret}\n")).error();
    assert!(
        error.contains("is not TOML: line 2") && !error.contains("V5f2"),
        "{error}"
    );
    // A file that was cut off before its first key says nothing of keys.
    assert!(
        Temp::holding("toml", "")
            .error()
            .contains("has no list `keys`")
    );
    let file = Temp::holding("json", &json(&[&digest]));
    let keys = KeyFile::new(file.path()).max_bytes(50);
    let error = ApiKeyLayer::from_file(keys).unwrap_err().to_string();
    assert!(error.contains("is larger than 50 bytes"), "{error}");
}

#[test]
fn a_time_is_one_of_rfc_3339() {
    let digest = new_key().digest();
    let layer = |time: &str| {
        let text = format!(r#"{{"keys": [{{"digest": "{digest}", "expires_at": "{time}"}}]}}"#);
        let file = Temp::holding("json", &text);
        ApiKeyLayer::from_file(KeyFile::new(file.path()))
    };
    for good in [
        "2028-02-29T00:00:00Z",
        "2000-02-29T23:59:60Z",
        "1970-01-01T00:00:01Z",
        "9999-12-31T23:59:59.999+23:59",
    ] {
        let _ = layer(good).unwrap();
    }
    for bad in [
        "",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00Z",
        "2027-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2027-04-31T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-00-01T00:00:00Z",
        "2027-01-00T00:00:00Z",
        "2027-01-15T24:00:00Z",
        "2027-01-15T08:60:00Z",
        "2027-01-15T08:00:61Z",
        "2027-01-15T08:00:00.Z",
        "2027-01-15T08:00:00+1:00",
        "2027-01-15T08:00:00+24:00",
        "2027-01-15T08:00:00Zx",
        "+027-01-15T08:00:00Z",
        "1969-12-31T23:59:59Z",
        "2027-01-15X08:00:00Z",
        "2027-1-15T008:00:00Z",
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}T08:00:00Z",
    ] {
        layer(bad).unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_read_within_the_interval_and_a_bad_one_is_not_used() {
    let (first, second) = (new_key(), new_key());
    let file = Temp::holding("json", &json(&[&first.digest()]));
    let layer = file.layer();
    let accepts = async |key: &str| ask(&layer, with_key(key)).await.status == 200;
    // What the blocking threads do is not on this thread, but what they find is.
    let wait = async || tokio::time::sleep(Duration::from_millis(5_001)).await;
    assert!(accepts(first.expose()).await);

    file.write(&json(&[&second.digest()]));
    assert!(accepts(first.expose()).await, "not yet");
    wait().await;
    assert!(!accepts(first.expose()).await && accepts(second.expose()).await);

    for bad in ["", "{", r#"{"keys": [{}]}"#] {
        file.write(bad);
        wait().await;
        assert!(accepts(second.expose()).await, "{bad:?}");
        let error = layer.keys().reload().unwrap_err();
        assert_eq!(error.setting(), "key_file");
    }
    fs::remove_file(file.path()).unwrap();
    wait().await;
    assert!(accepts(second.expose()).await);

    // All keys can be taken away, if that is what the file says.
    file.write(&json(&[]));
    wait().await;
    assert!(!accepts(second.expose()).await);
    file.write(&json(&[&first.digest()]));
    wait().await;
    assert!(accepts(first.expose()).await);
}

#[tokio::test]
async fn a_bad_file_is_told_and_the_good_one_that_follows_too() {
    let new = new_key();
    let file = Temp::holding("json", &json(&[&new.digest()]));
    let layer = file.layer();
    trace::start();
    file.write(r#"{"keys": [{"digest": "SECRET"}]}"#);
    layer.keys().reload().unwrap_err();
    file.write(&json(&[&new.digest()]));
    layer.keys().reload().unwrap();
    let told = trace::take();
    let levels: Vec<_> = told.iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::ERROR, Level::INFO]);
    assert!(told[0].field("why").contains("keys[0].digest"), "{told:?}");
    assert!(!format!("{told:?}").contains("SECRET"));
    assert_eq!(told[1].field("keys"), "1");
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_a_file_is_read_when_asked() {
    let (first, second) = (new_key(), new_key());
    let file = Temp::holding("json", &json(&[&first.digest()]));
    let keys = KeyFile::new(file.path()).interval(Duration::ZERO);
    let layer = ApiKeyLayer::from_file(keys).unwrap();
    ask(&layer, with_key(first.expose())).await.admitted();
    file.write(&json(&[&second.digest()]));
    tokio::time::sleep(Duration::from_secs(60)).await;
    ask(&layer, with_key(first.expose())).await.admitted();
    layer.keys().reload().unwrap();
    ask(&layer, with_key(second.expose())).await.admitted();
    let error = layer.keys().replace([first.expose()]).unwrap_err();
    assert!(error.to_string().contains("change the file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_task_looks_after_the_file_and_ends_with_the_last_clone() {
    let new = new_key();
    let file = Temp::holding("json", &json(&[&new.digest()]));
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let layer = file.layer();
    assert_eq!(tasks(), 0, "nothing runs before the first request");
    let clone = layer.clone().realm("other");
    for layer in [&layer, &clone, &layer] {
        ask(layer, with_key(new.expose())).await.admitted();
    }
    assert_eq!(tasks(), 1);
    drop(layer);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(tasks(), 1);
    drop(clone);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(tasks(), 0);
}

#[test]
fn a_file_is_looked_after_also_when_its_first_runtime_has_ended() {
    let (first, second) = (new_key(), new_key());
    let file = Temp::holding("json", &json(&[&first.digest()]));
    let layer = file.layer();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    runtime().block_on(async {
        ask(&layer, with_key(first.expose())).await.admitted();
    });
    file.write(&json(&[&second.digest()]));
    runtime().block_on(async {
        ask(&layer, with_key(first.expose())).await.admitted();
        tokio::time::sleep(Duration::from_secs(6)).await;
        ask(&layer, with_key(second.expose())).await.admitted();
    });
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_or_write_is_warned_of() {
    let new = new_key();
    let file = Temp::holding("json", &json(&[&new.digest()]));
    for (bits, expected) in [
        (0o600, None),
        (0o400, None),
        (
            0o640,
            Some("can be read by others than its owner (mode 640)"),
        ),
        (
            0o604,
            Some("can be read by others than its owner (mode 604)"),
        ),
        (
            0o620,
            Some("can be changed by others than its owner (mode 620)"),
        ),
        (
            0o666,
            Some("can be changed by others than its owner (mode 666)"),
        ),
    ] {
        mode(file.path(), bits);
        trace::start();
        file.layer().keys().reload().unwrap();
        let told: Vec<_> = trace::take()
            .into_iter()
            .filter(|event| event.level == Level::WARN)
            .collect();
        // At the start, and when it is read again.
        assert_eq!(told.len(), 2 * usize::from(expected.is_some()), "{told:?}");
        for told in told {
            let expected = expected.unwrap_or("nothing");
            assert!(told.field("detail").contains(expected), "{told:?}");
        }
    }
    mode(file.path(), 0o600);
    file.write(&json(&[]));
    trace::start();
    let _ = file.layer();
    let told = trace::take();
    assert!(
        told[0]
            .field("message")
            .contains("every request is refused"),
        "{told:?}"
    );
}

#[test]
fn debug_shows_the_path_and_no_digest() {
    let new = new_key();
    let file = Temp::holding("json", &json(&[&new.digest()]));
    let keys = KeyFile::new(file.path()).pepper(pepper());
    let layer = file.layer();
    let shown = format!("{keys:?} {layer:?} {:?}", ApiKey::from_digest(new.digest()));
    assert!(
        shown.contains("tower-mcp-auth-") && !shown.contains("5kq0"),
        "{shown}"
    );
    assert!(!shown.contains(&new.digest().to_string()[10..]));
}

/// Counted up, year by year and month by month.
fn rfc_3339(mut seconds: u64) -> String {
    let (second, minute, hour) = (seconds % 60, seconds / 60 % 60, seconds / 3600 % 24);
    seconds /= 86_400;
    let (mut year, mut month) = (1970, 1);
    loop {
        let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if seconds < days {
            let day = seconds + 1;
            return format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        }
        seconds -= days;
        (year, month) = if month == 12 {
            (year + 1, 1)
        } else {
            (year, month + 1)
        };
    }
}

fn expiring(at: &str) -> Result<ApiKeyLayer, ConfigError> {
    let digest = "sha256:d43c5cd3b5b2d8bb34e5bbed09e60e8e5ee4cf2cf3ba4adae01b1cc0b0f1e1a4";
    let at = serde_json::Value::from(at);
    let text = format!(r#"{{"keys": [{{"digest": "{digest}", "expires_at": {at}}}]}}"#);
    let file = Temp::holding("json", &text);
    ApiKeyLayer::from_file(KeyFile::new(file.path()))
}

proptest! {
    #[test]
    fn every_second_is_read_as_the_one_it_is(seconds in 0..253_402_300_800_u64) {
        let new = new_key();
        let text = format!(
            r#"{{"keys": [{{"digest": "{}", "expires_at": "{}"}}]}}"#,
            new.digest(),
            rfc_3339(seconds),
        );
        let file = Temp::holding("json", &text);
        let layer = file.layer().clock(Clock::manual(Duration::ZERO));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(ask(&layer, with_key(new.expose())));
        match seconds {
            0 => answer.invalid("expired_api_key"),
            _ => prop_assert_eq!(answer.principal().expires_at(), Some(at(seconds))),
        }
    }

    #[test]
    fn no_text_is_a_time_that_panics(text in prop_oneof![any::<String>(), "[0-9T:Zz+. -]{0,32}"]) {
        let _ = expiring(&text);
    }

    #[test]
    fn no_file_panics(
        text in prop_oneof![any::<String>(), "[\\[\\]{}\":,a-z0-9 =\n]{0,60}"],
        toml in any::<bool>(),
    ) {
        let file = Temp::holding(if toml { "toml" } else { "json" }, &text);
        let _ = ApiKeyLayer::from_file(KeyFile::new(file.path()));
    }
}

#[test]
fn a_subscriber_may_read_the_file_again_from_within_an_event() {
    let file = Temp::holding("json", &json(&[&new_key().digest()]));
    let layer = file.layer();
    let of_events = layer.clone();
    let is_within = Cell::new(false);
    trace::react(move || {
        if !is_within.replace(true) {
            drop(of_events.keys().reload());
            is_within.set(false);
        }
    });
    layer.keys().reload().unwrap();
    file.write("{");
    layer.keys().reload().unwrap_err();
    assert!(!trace::take().is_empty());
}

#[test]
fn a_file_without_keys_is_warned_of_whenever_it_is_read() {
    let is_warned = || {
        let warns = |event: &trace::Traced| event.level == Level::WARN;
        trace::take().iter().any(warns)
    };
    let file = Temp::holding("json", &json(&[&new_key().digest()]));
    trace::start();
    let layer = file.layer();
    assert!(!is_warned());
    file.write(&json(&[]));
    layer.keys().reload().unwrap();
    assert!(is_warned());
    drop(file.layer());
    assert!(is_warned());
}
