//! `mcp-auth-doctor`: looks at a live MCP server from outside, and says which line to change.

use std::io::{Read, Write};
use std::process::ExitCode;

use tower_mcp_auth::ConfigError;
use tower_mcp_auth::config::Config;
use tower_mcp_auth::doctor::{Options, Report, examine, explain, list_codes};

const HELP: &str = "\
Looks at a live MCP server as clients do, and says what is wrong and which line to change.

Usage: mcp-auth-doctor [OPTIONS] URL
       mcp-auth-doctor --explain [CODE]

  URL                   the MCP endpoint, exactly as clients are given it

Options:
  --token -             an access token from the standard input; it is presented to the origin of
                        URL, to no other, and never printed
  --token env:NAME      the same from a variable
  --config FILE         compares with the configuration of tower-mcp-auth in this file
                        (.json, or else TOML)
  --origin ORIGIN       asks as a page of this origin does, and it must get through
  --mixed               requests without a token are served on purpose
  --ca FILE             trusts the certificate authorities in this file as well (PEM)
  --follow-private      follows documents of a public server to private addresses
  --json                prints JSON, for programs
  --explain CODE        says what a code of a report means, or a reason code of the log of a
                        server made with tower-mcp-auth; without CODE, lists all
  -h, --help            prints this
  -V, --version         prints the version

Exit status: 0 there is no fault; 1 there is one; 2 no request was answered, or the arguments
are wrong.
";

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => return refuse(&why),
    };
    match arguments.what {
        What::Help => print(HELP, 0),
        What::Version => print(
            concat!("mcp-auth-doctor ", env!("CARGO_PKG_VERSION"), "\n"),
            0,
        ),
        What::Explain(None) => print(&list_codes(), 0),
        What::Explain(Some(ref code)) => match explain(code) {
            Ok(text) => print(&text, 0),
            Err(error) => refuse(&message(&error)),
        },
        What::Look(ref url) => match look(url, &arguments) {
            Ok(report) => {
                let text = match arguments.json {
                    true => json(&report),
                    false => report.to_string(),
                };
                print(&text, report.exit_code())
            }
            Err(why) => refuse(&why),
        },
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("mcp-auth-doctor: {why}");
    ExitCode::from(2)
}

/// Without the name of a setting, which here is an option.
fn message(error: &ConfigError) -> String {
    let text = error.to_string();
    let setting = format!("{}: ", error.path());
    text.strip_prefix(&setting).unwrap_or(&text).to_owned()
}

/// A reader that went away is no reason to panic.
fn print(text: &str, code: u8) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report).expect("a report is JSON");
    format!("{text}\n")
}

fn look(url: &str, arguments: &Arguments) -> Result<Report, String> {
    let options = arguments.options(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let report = runtime.block_on(examine(options));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    Ok(report)
}

#[derive(Debug, Default, PartialEq, Eq)]
enum What {
    #[default]
    Help,
    Version,
    /// A code, or all of them.
    Explain(Option<String>),
    Look(String),
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    what: What,
    token: Option<Token>,
    config: Option<String>,
    origin: Option<String>,
    ca: Option<String>,
    mixed: bool,
    follow_private: bool,
    json: bool,
}

/// Where the token is. There is no way to write it as an argument, which others can read.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Stdin,
    Variable(String),
}

impl Arguments {
    fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut url = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            // `--name=value` is `--name value`.
            let (name, mut given) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(value.to_owned()))
                }
                _ => (argument, None),
            };
            let mut value = || {
                let value = given.take().or_else(|| arguments.next());
                value.ok_or_else(|| format!("{name} needs a value"))
            };
            match &*name {
                "-h" | "--help" => return Ok(Self::default()),
                "-V" | "--version" => {
                    return Ok(Self {
                        what: What::Version,
                        ..Self::default()
                    });
                }
                "--explain" => {
                    // What else stands there looks at no server.
                    let code = given.take().or_else(|| arguments.next());
                    return Ok(Self {
                        what: What::Explain(code),
                        ..Self::default()
                    });
                }
                "--token" => read.token = Some(Token::read(&value()?)?),
                "--config" => read.config = Some(value()?),
                "--origin" => read.origin = Some(value()?),
                "--ca" => read.ca = Some(value()?),
                "--mixed" => read.mixed = true,
                "--follow-private" => read.follow_private = true,
                "--json" => read.json = true,
                // It may be a token in the wrong place.
                other if other.starts_with('-') => {
                    let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
                    return Err(match other.len() <= 20 && other.chars().all(is_plain) {
                        true => format!("there is no option {other}; see --help"),
                        false => "there is an argument that is no option; see --help".to_owned(),
                    });
                }
                _ if url.is_some() => {
                    return Err("there is more than one URL; see --help".to_owned());
                }
                _ => url = Some(name.clone()),
            }
            if given.is_some() && name.starts_with("--") {
                return Err(format!("{name} takes no value"));
            }
        }
        read.what = What::Look(url.ok_or("give the URL of the MCP endpoint; see --help")?);
        Ok(read)
    }

    fn options(&self, url: &str) -> Result<Options, String> {
        let text = |error: ConfigError| error.to_string();
        let mut options = Options::new(url).map_err(text)?;
        if let Some(token) = &self.token {
            options = options.token(token.get()?).map_err(text)?;
        }
        if let Some(file) = &self.config {
            let why = |why: String| format!("{file}: {why}");
            let read = std::fs::read_to_string(file).map_err(|error| why(error.to_string()))?;
            let config = match file.ends_with(".json") {
                true => Config::from_json(&read),
                false => Config::from_toml(&read),
            };
            let config = config.map_err(|error| why(error.to_string()))?;
            options = options
                .config(&config)
                .map_err(|error| why(error.to_string()))?;
        }
        if let Some(origin) = &self.origin {
            options = options.origin(origin).map_err(text)?;
        }
        if let Some(file) = &self.ca {
            let why = |why: &dyn std::fmt::Display| format!("--ca {file}: {why}");
            let pem = std::fs::read(file).map_err(|error| why(&error))?;
            let added = options.root_certificates(pem);
            options = added.map_err(|error| why(&message(&error)))?;
        }
        if self.mixed {
            options = options.mixed();
        }
        if self.follow_private {
            options = options.follow_private();
        }
        Ok(options)
    }
}

impl Token {
    fn read(value: &str) -> Result<Self, String> {
        match (value, value.strip_prefix("env:")) {
            ("-", _) => Ok(Self::Stdin),
            (_, Some(name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            // It may be the token itself.
            _ => Err(
                "--token takes `-` (standard input) or `env:NAME`: as an argument a token \
                      can be read by others"
                    .to_owned(),
            ),
        }
    }

    fn get(&self) -> Result<String, String> {
        match self {
            Self::Stdin => {
                let mut token = String::new();
                let limit = std::io::stdin()
                    .take(1024 * 1024)
                    .read_to_string(&mut token);
                limit.map_err(|error| format!("the standard input: {error}"))?;
                Ok(token)
            }
            // Its name is not repeated: it may be the token itself.
            Self::Variable(name) => std::env::var(name).map_err(|_| {
                "the variable that `--token env:NAME` names is not set, or is no text".to_owned()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let all = "--json --token env:TOKEN https://h/mcp?a=b --config=a.toml --origin https://o \
                   --ca ca.pem --mixed --follow-private";
        let expected = Arguments {
            what: What::Look("https://h/mcp?a=b".to_owned()),
            token: Some(Token::Variable("TOKEN".to_owned())),
            config: Some("a.toml".to_owned()),
            origin: Some("https://o".to_owned()),
            ca: Some("ca.pem".to_owned()),
            mixed: true,
            follow_private: true,
            json: true,
        };
        assert_eq!(read(all), Ok(expected));
        assert_eq!(
            read("--token - https://h").unwrap().token,
            Some(Token::Stdin)
        );
        assert_eq!(read("https://h --help").unwrap().what, What::Help);
        assert_eq!(read("-V").unwrap().what, What::Version);
        for (line, code) in [
            ("--explain", None),
            ("--explain expired", Some("expired")),
            ("--explain=expired https://h", Some("expired")),
            ("https://h --explain", None),
        ] {
            let code = code.map(str::to_owned);
            assert_eq!(read(line).unwrap().what, What::Explain(code), "{line}");
        }
    }

    #[test]
    fn a_file_of_authorities_is_read_before_any_connection() {
        let folder = std::env::temp_dir().join(format!("mcp-auth-doctor-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content, why) in [
            ("absent.pem", None, "No such file"),
            ("empty.pem", Some(""), "there is nothing in it"),
            ("text.pem", Some("hello"), "there is no certificate in it"),
            (
                "cut.pem",
                Some("-----BEGIN CERTIFICATE-----\nAAAA"),
                "this is not PEM",
            ),
        ] {
            let file = folder.join(name);
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let file = file.to_str().unwrap();
            let line = format!("https://h/mcp --ca {file}");
            let error = read(&line).unwrap().options("https://h/mcp").unwrap_err();
            assert!(error.starts_with(&format!("--ca {file}: {why}")), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_a_token() {
        for (line, why) in [
            ("--json", "give the URL"),
            ("https://h https://g", "more than one URL"),
            ("https://h --token", "--token needs a value"),
            ("https://h --token eyJhbGciOi.x.y", "--token takes `-`"),
            ("https://h --token env:", "--token takes `-`"),
            ("https://h --jsno", "no option --jsno"),
            (
                "https://h --eyJhbGciOi.x.y",
                "an argument that is no option",
            ),
            ("https://h --json=1", "--json takes no value"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
            assert!(!error.contains("eyJ"), "{line}: {error}");
        }
        // The token itself, where its name belongs.
        let variable = Token::read("env:eyJhbGciOi").unwrap();
        let error = variable.get().unwrap_err();
        assert!(
            error.contains("is not set") && !error.contains("eyJ"),
            "{error}"
        );
        let options = read("ftp://h").unwrap().options("ftp://h");
        assert!(options.unwrap_err().contains("neither https nor http"));
    }
}
