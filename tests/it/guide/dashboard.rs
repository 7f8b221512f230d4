//! The picture of the dashboard: each panel of `docs/grafana.json`, drawn with sample series.

use std::fmt::Write;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// An hour, a point each minute and a quarter.
const POINTS: u32 = 48;
/// Pixels of a unit of Grafana's grid, which has 24 columns.
const COLUMN: f64 = 50.0;
const ROW: f64 = 25.0;
const HEAD: f64 = 44.0;
const COLOURS: [&str; 6] = [
    "#37872d", "#e02f44", "#1f60c4", "#fa6400", "#8f3bb8", "#c4901b",
];

/// How a series goes.
enum Shape {
    Flat,
    /// Up and down, by as much as a fifth.
    Noisy,
    /// Nothing, but for a few minutes in the middle.
    Bump,
    /// Rises by the value, and is nothing again at each fetch, unless there is trouble.
    Saw,
}
use Shape::{Bump, Flat, Noisy, Saw};

/// The minutes in the middle in which the authorization server is gone.
const TROUBLE: std::ops::Range<u32> = 22..29;

/// The series of a panel: its legend, a value, how it goes.
type Series = (&'static str, f64, Shape);

const ISSUER: &str = "https://auth.example.com";

fn samples(title: &str) -> Vec<Series> {
    match title {
        "Requests by outcome" => vec![
            ("accepted", 42.0, Noisy),
            ("refused", 3.0, Noisy),
            ("anonymous", 6.0, Noisy),
        ],
        "Refusals by reason" => vec![
            ("oauth: missing_credential", 1.6, Noisy),
            ("oauth: expired", 0.9, Noisy),
            ("oauth: audience_mismatch", 2.8, Bump),
            ("api_key: unknown_api_key", 0.3, Noisy),
        ],
        "Decisions of the layers around" => vec![
            ("mcp_scopes: accepted none", 38.0, Noisy),
            ("mcp_scopes: refused insufficient_scope", 1.9, Noisy),
            ("mcp_lists: shortened none", 4.5, Noisy),
        ],
        "Verification time" => vec![
            ("oauth waited=false p50", 0.000_03, Noisy),
            ("oauth waited=true p50", 0.008, Noisy),
            ("oauth waited=false p99", 0.000_09, Noisy),
            ("oauth waited=true p99", 0.031, Noisy),
        ],
        "Age of the keys" => vec![(ISSUER, 75.0, Saw)],
        "Keys held" => vec![(ISSUER, 2.0, Flat)],
        "Key set fetches" => vec![
            ("https://auth.example.com: ok", 0.2, Flat),
            ("https://auth.example.com: failed", 3.0, Bump),
        ],
        "Token cache: share of hits" => vec![("JWTs", 0.82, Noisy)],
        "Introspection: share of hits" => vec![(ISSUER, 0.71, Noisy)],
        "Introspection calls" => vec![
            ("https://auth.example.com: active", 2.4, Noisy),
            ("https://auth.example.com: failed", 1.2, Bump),
        ],
        "Introspection queue" => vec![(ISSUER, 9.0, Bump)],
        "API key store: share of hits" => vec![("keys", 0.78, Noisy)],
        "API key store: questions" => vec![("found", 1.1, Noisy), ("absent", 0.2, Noisy)],
        "API key store: queue" => vec![("questions", 1.0, Noisy)],
        "Failed attempts: not told to other replicas" => vec![("a second", 0.4, Bump)],
        "Step-up" => vec![("asked", 5.0, Noisy), ("granted", 4.0, Noisy)],
        "Streams ended with their credential" => vec![("streams", 2.0, Noisy)],
        "Revocations kept" => vec![("entries", 31.0, Flat)],
        "Budgets: requests refused" => {
            vec![
                ("calls refused", 0.8, Bump),
                ("search reported", 0.3, Noisy),
            ]
        }
        "Budgets: the shared store answers" => {
            vec![("1 where it answers every replica", 1.0, Flat)]
        }
        other => panic!("the panel {other:?} has no sample series here"),
    }
}

/// The same number between -1 and 1 in each run.
fn noise(series: &str, point: u32) -> f64 {
    let seed = series.bytes().fold(point, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    f64::from(seed >> 16) / 32767.5 - 1.0
}

fn value((legend, value, shape): &Series, point: u32) -> f64 {
    let noisy = value * (1.0 + 0.2 * noise(legend, point));
    match shape {
        Flat => *value,
        Noisy => noisy,
        Bump if TROUBLE.contains(&point) => noisy,
        Bump => 0.0,
        Saw => {
            let is_fetch = |at: &u32| at.is_multiple_of(6) && !TROUBLE.contains(at);
            let fetched = (0..=point).rev().find(is_fetch).unwrap();
            value * f64::from(point - fetched)
        }
    }
}

/// The next of 1, 2, 5, 10, 20, …
fn ceiling(most: f64) -> f64 {
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    *steps.iter().find(|step| **step >= most).unwrap()
}

/// A value of the axis, in the unit of the panel.
fn axis(value: f64, unit: &str) -> String {
    match unit {
        "percentunit" => format!("{} %", (value * 100.0).round()),
        "reqps" => format!("{value} req/s"),
        "s" if value >= 1.0 || value == 0.0 => format!("{value} s"),
        "s" => format!("{} ms", value * 1000.0),
        "short" => value.to_string(),
        other => panic!("no unit: {other}"),
    }
}

/// Whether a legend can be what Grafana makes of this format.
fn fits(legend: &str, format: &str) -> bool {
    let mut rest = legend;
    // What is not in braces, in order, with at least a character for each label between.
    for (at, part) in format.split("{{").enumerate() {
        let fixed = if at == 0 {
            part
        } else {
            part.split_once("}}").unwrap().1
        };
        let skipped = usize::from(at > 0);
        let Some(found) = rest.get(skipped..).and_then(|rest| rest.find(fixed)) else {
            return false;
        };
        let is_in_place = at > 0 || found == 0;
        if !is_in_place {
            return false;
        }
        rest = if fixed.is_empty() {
            rest
        } else {
            &rest[skipped + found + fixed.len()..]
        };
    }
    format.ends_with("}}") || rest.is_empty()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn draw(svg: &mut String, panel: &Value) {
    let title = panel["title"].as_str().unwrap();
    let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
    let place = |name: &str| panel["gridPos"][name].as_f64().unwrap();
    let (x, y) = (place("x") * COLUMN + 4.0, place("y") * ROW + HEAD);
    let (width, height) = (place("w") * COLUMN - 8.0, place("h") * ROW - 8.0);
    let series = samples(title);
    for target in panel["targets"].as_array().unwrap() {
        let format = target["legendFormat"].as_str().unwrap();
        let shown = series.iter().any(|(legend, ..)| fits(legend, format));
        assert!(shown, "{title}: no sample for {format}");
    }
    let _ = writeln!(
        svg,
        "<g transform=\"translate({x} {y})\"><rect width=\"{width}\" height=\"{height}\" rx=\"3\" \
         fill=\"#fff\" stroke=\"#d8d9df\"/><text x=\"10\" y=\"19\" class=\"t\">{}</text>",
        escaped(title)
    );
    let points = || (0..POINTS).flat_map(|point| series.iter().map(move |s| value(s, point)));
    let most = if unit == "percentunit" {
        1.0
    } else {
        ceiling(points().fold(0.0, f64::max))
    };
    let (left, top, right, bottom) = (62.0, 32.0, width - 12.0, height - 62.0);
    for share in [0.0, 0.5, 1.0] {
        let line = bottom - share * (bottom - top);
        let label = axis(most * share, unit);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {line}H{right}\" class=\"g\"/>\
             <text x=\"{}\" y=\"{}\" class=\"e\">{label}</text>",
            left - 6.0,
            line + 3.5
        );
    }
    for (share, time) in [(0.0, "14:00"), (0.5, "14:30"), (1.0, "15:00")] {
        let at = left + share * (right - left) - 26.0 * share;
        let _ = writeln!(
            svg,
            "<text x=\"{at}\" y=\"{}\">{time}</text>",
            bottom + 14.0
        );
    }
    let (mut legend_x, mut legend_y) = (10.0, height - 33.0);
    for (one, colour) in series.iter().zip(COLOURS) {
        let mut line = String::new();
        for point in 0..POINTS {
            let at = left + f64::from(point) / f64::from(POINTS - 1) * (right - left);
            let height = bottom - value(one, point) / most * (bottom - top);
            let _ = write!(line, "{at:.0},{height:.1} ");
        }
        let line = line.trim_end();
        let _ = writeln!(svg, "<polyline points=\"{line}\" stroke=\"{colour}\"/>");
        let legend = escaped(one.0);
        let wide = f64::from(u32::try_from(one.0.len()).unwrap()) * 5.5 + 24.0;
        if legend_x + wide > width {
            (legend_x, legend_y) = (10.0, legend_y + 13.0);
        }
        let _ = writeln!(
            svg,
            "<rect x=\"{legend_x}\" y=\"{}\" width=\"10\" height=\"3\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{legend_y}\">{legend}</text>",
            legend_y - 4.5,
            legend_x + 14.0
        );
        legend_x += wide;
    }
    svg.push_str("</g>\n");
}

fn picture(dashboard: &Value) -> String {
    let panels = dashboard["panels"].as_array().unwrap();
    let end = |panel: &Value| {
        let place = &panel["gridPos"];
        place["y"].as_f64().unwrap() + place["h"].as_f64().unwrap()
    };
    let height = HEAD + panels.iter().map(end).fold(0.0, f64::max) * ROW;
    let width = 24.0 * COLUMN;
    let title = dashboard["title"].as_str().unwrap();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Inter, Helvetica, Arial, sans-serif\" font-size=\"10\" fill=\"#52545c\">\n\
         <style>.t{{font-size:13px;font-weight:600;fill:#24292e}}.h{{font-size:18px;fill:#24292e}}\
         .e{{text-anchor:end}}.g{{stroke:#e9eaee}}polyline{{fill:none;stroke-width:1.5}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f5\"/>\
         <text x=\"10\" y=\"29\" class=\"h\">{}</text>\
         <text x=\"{}\" y=\"28\" class=\"e\">sample series</text>\n",
        escaped(title),
        width - 10.0
    );
    for panel in panels {
        draw(&mut svg, panel);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The documentation has no file beside its page: there the picture is in the link.
#[test]
fn the_picture_of_the_dashboard_has_its_panels() {
    let root = common::root();
    let dashboard = fs::read_to_string(root.join("docs/grafana.json")).unwrap();
    let svg = picture(&serde_json::from_str(&dashboard).unwrap());
    assert!(svg.len() < 100_000, "{}", svg.len());
    let link = format!(
        "[dashboard.svg]: data:image/svg+xml;base64,{}\n",
        STANDARD.encode(&svg)
    );
    for (file, text) in [
        ("docs/dashboard.svg", svg),
        ("src/guide/dashboard.md", link),
    ] {
        let file = root.join(file);
        if std::env::var_os("WRITE_DASHBOARD").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert!(
            fs::read_to_string(&file).unwrap_or_default() == text,
            "run this test with WRITE_DASHBOARD=1, and look at the picture"
        );
    }
}

#[test]
fn the_samples_of_the_picture_have_reasons_that_there_are() {
    let reasons = fs::read_to_string(common::root().join("docs/reason-codes.md")).unwrap();
    for title in ["Refusals by reason", "Decisions of the layers around"] {
        for (legend, ..) in samples(title) {
            let reason = legend.rsplit(' ').next().unwrap();
            let is_there = reason == "none" || reasons.contains(&format!("\n| `{reason}` |"));
            assert!(is_there, "{legend}");
        }
    }
}
