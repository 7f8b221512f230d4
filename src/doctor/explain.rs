//! What a code means and what to change, for people who have the code alone.

use std::fmt::{self, Write};

use super::code::Code;
use super::lines;
use super::print::paragraph;
use super::report::Maker;
use crate::error::{AuthError, ConfigError, Reason};
use crate::util::distance;

/// Of those that an unknown code is near to.
const MOST_NEAR: usize = 3;
/// What stands for the URL of the server, and for that of its metadata.
const URL: &str = "https://mcp.example.com/mcp";
const METADATA: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

/// What a code means, and what to change.
///
/// The code is one of a [`Report`](super::Report), or a [`Reason`] that a server made with this
/// crate logs; where both have it, both are explained. `https://mcp.example.com/mcp` stands for
/// the URL of the server.
///
/// ```
/// use tower_mcp_auth::doctor::explain;
///
/// let text = explain("audience_mismatch")?;
/// assert!(text.contains("The token is for another resource"));
///
/// let error = explain("audience_missmatch").unwrap_err();
/// assert!(error.to_string().contains("`audience_mismatch`"));
/// # Ok::<(), tower_mcp_auth::ConfigError>(())
/// ```
///
/// # Errors
/// There is no such code. The error names those that are spelled alike.
pub fn explain(code: &str) -> Result<String, ConfigError> {
    let wanted = code.trim().to_ascii_lowercase().replace('-', "_");
    let finding = Code::ALL.iter().find(|own| own.code() == wanted);
    let reason = Reason::find(&wanted);
    if finding.is_none() && reason.is_none() {
        return Err(ConfigError::new("explain", unknown(&wanted)));
    }
    let mut texts = Vec::new();
    texts.extend(finding.map(|own| written(|f| write_finding(f, *own))));
    texts.extend(reason.map(|own| written(|f| write_reason(f, own))));
    Ok(texts.join("\n"))
}

/// Every code that [`explain`] knows, a line each.
pub fn list_codes() -> String {
    written(|f| {
        writeln!(f, "What mcp-auth-doctor finds:")?;
        for code in Code::ALL {
            let severity = code.severity().name();
            writeln!(f, "  {severity:<8} {:<30} {}", code.code(), code.what())?;
        }
        writeln!(
            f,
            "\nWhat a server made with tower-mcp-auth refuses requests for:"
        )?;
        for reason in Reason::ALL {
            let text = reason.explanation();
            let end = text.find(". ").unwrap_or(text.len());
            let first = text[..end].trim_end_matches('.');
            writeln!(f, "  {:<8} {:<30} {first}", status(*reason), reason.code())?;
        }
        Ok(())
    })
}

fn write_finding(f: &mut String, code: Code) -> fmt::Result {
    let filled = |text: &str| {
        let text = text.replace("{url}", URL).replace("{metadata}", METADATA);
        text.replace("{got}", "…")
    };
    let severity = code.severity().name().to_ascii_uppercase();
    writeln!(f, "{severity} {code}")?;
    paragraph(f, "", code.what())?;
    paragraph(f, "why", &filled(code.cause()))?;
    paragraph(f, "change", &filled(code.fix()))?;
    if let Some(line) = code.own_fix() {
        paragraph(f, "with", &format!("tower-mcp-auth: {}", filled(line)))?;
    }
    for (name, maker) in [
        ("the TypeScript SDK", Maker::Express),
        ("the Python SDK or FastMCP", Maker::Uvicorn),
    ] {
        if let Some(line) = lines::of(maker, code) {
            paragraph(f, "with", &format!("{name}: {}", filled(line)))?;
        }
    }
    Ok(())
}

fn write_reason(f: &mut String, reason: Reason) -> fmt::Result {
    let status = status(reason);
    writeln!(
        f,
        "{status} {reason}, from a server made with tower-mcp-auth"
    )?;
    paragraph(f, "", reason.explanation())?;
    paragraph(f, "client", reason.client())?;
    paragraph(f, "told", &format!("{}.", reason.description()))?;
    paragraph(f, "change", reason.fix())
}

fn status(reason: Reason) -> u16 {
    AuthError::new(reason).status().as_u16()
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).expect("a string takes all that is written");
    text
}

/// What is no code is not repeated: it may be a token in the wrong place.
fn unknown(wanted: &str) -> String {
    let codes = Code::ALL.iter().map(|own| own.code());
    let codes = codes.chain(Reason::ALL.iter().map(|own| own.code()));
    let is_near = |own: &&str| {
        let is_like = |own: &str| distance(wanted, own) <= own.len() / 3;
        let is_part = wanted.len() > 3 && own.contains(wanted);
        is_part || is_like(own) || own.split('_').any(|word| word.len() > 3 && is_like(word))
    };
    // No code is so long, and the distance takes time.
    let mut near: Vec<&str> = match wanted.len() <= 64 {
        true => codes.filter(is_near).collect(),
        false => Vec::new(),
    };
    near.sort_by_key(|own| (distance(wanted, own), *own));
    near.dedup();
    let near: Vec<String> = near
        .iter()
        .take(MOST_NEAR)
        .map(|own| format!("`{own}`"))
        .collect();
    match near.is_empty() {
        true => "there is no such code; `--explain` without a code lists all".to_owned(),
        false => format!(
            "there is no such code, but there is {}; `--explain` without a code lists all",
            near.join(", ")
        ),
    }
}
