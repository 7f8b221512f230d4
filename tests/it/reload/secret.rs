//! Secrets of a configuration: what is taken, where it is read, and what never is shown.

use std::path::PathBuf;
use std::process::Command;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, U128Deserializer};
use tower_mcp_auth::config::SecretSource;

use common::trace;

const SECRET: &str = "8167354920";

fn source(json: &str) -> Result<SecretSource, serde_json::Error> {
    serde_json::from_str(json)
}

/// What reading it gives, errors as they are told.
fn resolved(json: &str) -> Result<String, String> {
    let secret = source(json).expect("a source").resolve();
    secret
        .map(|secret| secret.expose().to_owned())
        .map_err(|error| error.to_string())
}

/// A file of its own, gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("secret-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        let scratch = Self(path);
        scratch.mode(0o600);
        scratch
    }

    fn mode(&self, _mode: u32) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let permissions = std::fs::Permissions::from_mode(_mode);
            std::fs::set_permissions(&self.0, permissions).unwrap();
        }
    }

    fn json(&self) -> String {
        serde_json::json!({ "file": self.0 }).to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn one_line_break_is_dropped_and_no_more() {
    for (content, expected) in [
        ("8167", "8167"),
        ("8167\n", "8167"),
        ("8167\r\n", "8167"),
        ("8167\n\n", "8167\n"),
        ("8167\r", "8167\r"),
        (" 8167 \n", " 8167 "),
        ("a\nb\n", "a\nb"),
        ("\n8167", "\n8167"),
    ] {
        let file = Scratch::new("line-break", content);
        assert_eq!(resolved(&file.json()).unwrap(), expected, "{content:?}");
        let text = serde_json::to_string(content).unwrap();
        assert_eq!(resolved(&text).unwrap(), expected, "{content:?}");
    }
}

#[test]
fn a_file_that_holds_no_secret_is_named() {
    let too_large = "x".repeat(SecretSource::MAX_BYTES + 1);
    let cases: [(&str, &[u8], &str); 7] = [
        (
            "mark",
            b"\xef\xbb\xbf8167354920\n",
            "begins with a byte order mark: save it without",
        ),
        ("empty", b"", "is empty"),
        ("line", b"\n", "is empty"),
        ("windows-line", b"\r\n", "is empty"),
        ("bytes", b"8167354920\xff", "is not UTF-8"),
        ("large", too_large.as_bytes(), "has more than 65536 bytes"),
        ("huge", &[b'x'; 1 << 20], "has more than 65536 bytes"),
    ];
    for (name, content, why) in cases {
        let file = Scratch::new(name, content);
        let expected = format!("secret: the file {:?} {why}", file.0);
        assert_eq!(resolved(&file.json()).unwrap_err(), expected);
    }
    let largest = "x".repeat(SecretSource::MAX_BYTES) + "\r\n";
    let file = Scratch::new("largest", &largest);
    assert_eq!(resolved(&file.json()).unwrap().len(), 65536);

    let missing = std::env::temp_dir().join("no-such-secret");
    let error = resolved(&serde_json::json!({ "file": missing }).to_string()).unwrap_err();
    assert!(
        error.contains("no-such-secret\" cannot be read: "),
        "{error}"
    );
    let folder = serde_json::json!({ "file": std::env::temp_dir() }).to_string();
    assert!(
        resolved(&folder)
            .unwrap_err()
            .ends_with("is no regular file")
    );
}

#[cfg(unix)]
#[test]
fn a_file_open_to_others_is_warned_of_at_every_reading() {
    let file = Scratch::new("mode", SECRET);
    for (mode, warned) in [
        (0o600, None),
        (0o400, None),
        (
            0o640,
            Some("can be read by others than its owner (mode 640): chmod 600"),
        ),
        (
            0o604,
            Some("can be read by others than its owner (mode 604): chmod 600"),
        ),
        (
            0o620,
            Some("can be changed by others than its owner (mode 620): chmod 600"),
        ),
    ] {
        file.mode(mode);
        let source = source(&file.json()).unwrap();
        for _ in 0..2 {
            trace::start();
            assert_eq!(source.resolve().unwrap().expose(), SECRET);
            let events = trace::take();
            assert_eq!(events.len(), usize::from(warned.is_some()), "{mode:o}");
            if let Some(text) = warned {
                let detail = events[0].field("detail");
                assert!(detail.ends_with(text), "{detail}");
                assert_eq!(events[0].field("setting"), "secret");
                assert!(!format!("{events:?}").contains(SECRET));
            }
        }
    }
}

#[test]
fn a_file_is_read_anew_each_time() {
    let file = Scratch::new("anew", "first");
    let source = source(&file.json()).unwrap();
    assert_eq!(source.resolve().unwrap().expose(), "first");
    std::fs::write(&file.0, "second\n").unwrap();
    assert_eq!(source.resolve().unwrap().expose(), "second");
    assert_eq!(source.clone().resolve().unwrap().expose(), "second");
}

/// Changing the environment of this process is `unsafe`, so another one asks: this test, with
/// the variables given.
#[test]
fn variables_are_read() {
    if std::env::var_os("SECRET_TEST_CHILD").is_some() {
        return in_the_child();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "reload::secret::variables_are_read"])
        .env("SECRET_TEST_CHILD", "1")
        .env("DIGITS", SECRET)
        .env("LINE", "0123\n")
        .env("EMPTY", "")
        .env("ONLY_LINE", "\n")
        .env("LARGE", "x".repeat(SecretSource::MAX_BYTES + 1))
        .env("APP_SECRET", SECRET)
        .env("APP_QUOTED", format!("\"{SECRET}\""))
        .env("APP_PLACE", "{env=DIGITS}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        child.env("BYTES", std::ffi::OsStr::from_bytes(b"8167354920\xff"));
    }
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

fn in_the_child() {
    let env = |name: &str| resolved(&format!(r#"{{"env": "{name}"}}"#));
    assert_eq!(env("DIGITS").unwrap(), SECRET);
    assert_eq!(env("LINE").unwrap(), "0123");
    for (name, why) in [
        ("UNSET", "is not set"),
        ("EMPTY", "is empty"),
        ("ONLY_LINE", "is empty"),
        ("LARGE", "has more than 65536 bytes"),
        #[cfg(unix)]
        ("BYTES", "is not UTF-8"),
    ] {
        let expected = format!("secret: the variable {name} {why}");
        assert_eq!(env(name).unwrap_err(), expected);
    }

    // figment makes a number of digits: that is an error, never another secret.
    let figment = Figment::from(Env::prefixed("APP_"));
    let number = figment.extract_inner::<SecretSource>("secret");
    let error = number.unwrap_err().to_string();
    assert!(error.contains("a secret is a string"), "{error}");
    assert!(!error.contains(SECRET), "{error}");
    for member in ["quoted", "place"] {
        let secret: SecretSource = figment.extract_inner(member).unwrap();
        assert_eq!(secret.resolve().unwrap().expose(), SECRET, "{member}");
    }
}

#[test]
fn only_strings_and_places_are_secrets() {
    for json in [
        "8167354920",
        "-8167354920",
        "8167354920.5",
        "8167354920e30",
        "true",
        "null",
        r#"["8167354920"]"#,
        r#""""#,
        r#""\n""#,
        "{}",
        r#"{"8167354920": "x"}"#,
        r#"{"env": 8167354920}"#,
        r#"{"env": "8167354920"}"#,
        r#"{"env": "A=8167354920"}"#,
        r#"{"env": "A-8167354920"}"#,
        r#"{"env": ""}"#,
        r#"{"env": null}"#,
        r#"{"env": ["8167354920"]}"#,
        r#"{"file": ""}"#,
        r#"{"file": 8167354920}"#,
        r#"{"env": "A", "file": "/8167354920"}"#,
        r#"{"env": "A", "env": "B"}"#,
        r#"{"env": "A", "default": "8167354920"}"#,
    ] {
        let error = source(json).unwrap_err().to_string();
        assert!(!error.contains("81673"), "{json}: {error}");
    }
    let wide: U128Deserializer<ValueError> = 8_167_354_920_u128.into_deserializer();
    let error = SecretSource::deserialize(wide).unwrap_err().to_string();
    assert!(error.starts_with("a secret is a string"), "{error}");
    let bytes = serde::de::value::BytesDeserializer::<ValueError>::new(SECRET.as_bytes());
    let error = SecretSource::deserialize(bytes).unwrap_err().to_string();
    assert!(error.starts_with("a secret is a string"), "{error}");
    // A format with times has them as tables.
    let error = Figment::from(Toml::string("secret = 2027-01-01"))
        .extract_inner::<SecretSource>("secret")
        .unwrap_err();
    assert!(!error.to_string().contains("2027"), "{error}");
}

#[test]
fn debug_shows_the_place_and_never_the_secret() {
    let text = source(r#""8167354920""#).unwrap();
    assert_eq!(format!("{text:?}"), "Text([redacted])");
    let read = text.resolve().unwrap();
    assert_eq!(format!("{read:?}"), "SecretText([redacted])");
    let env = source(r#"{"env": "CLIENT_SECRET"}"#).unwrap();
    assert_eq!(format!("{env:?}"), r#"Env("CLIENT_SECRET")"#);
    let file = source(r#"{"file": "/run/secrets/client"}"#).unwrap();
    assert_eq!(format!("{file:?}"), r#"File("/run/secrets/client")"#);
}
