//! The comparison as a picture.

use std::fmt::Write as _;

use super::table::{Bound, Row};

const WIDTH: f64 = 820.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 190.0;
const LINE: f64 = 16.0;
const GAP: f64 = 8.0;

/// With a ground of its own: what stands around the picture may be light or dark.
const STYLE: &str = ".ground { fill: #ffffff } text { fill: #24292f } .faint { fill: #6e7781 } .layer { fill: #2f6fb2 } \
    .floor { fill: #b6bdc6 } .mark { stroke: #f59e0b; stroke-width: 3 } \
    @media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 } \
    .layer { fill: #58a6ff } .floor { fill: #59636e } }";

/// Bars: what each layer adds, under it the floor. What is known already and what is new
/// differ so much that each has a scale of its own.
pub(crate) fn draw(rows: &[Row]) -> String {
    let mut out = String::new();
    let mut y = 50.0;
    for (title, is_new) in [("Known credentials", false), ("New tokens", true)] {
        let shown: Vec<&Row> = rows
            .iter()
            .filter(|row| (row.group == "never seen") == is_new && is_shown(row))
            .collect();
        y += 22.0;
        text(&mut out, 16.0, y, r#"font-weight="600""#, title);
        y += GAP;
        panel(&mut out, &mut y, &shown);
    }
    let height = y + GAP;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="CPU time added to a request by the layers, beside its floor">
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>
<text x="16" y="26" font-size="16" font-weight="600">CPU time the layers add to a request, in microseconds</text>
<text x="16" y="46" class="faint">Blue: added to a bare service. Grey: the floor beneath it. Mark: the target. Tokens of 900 bytes.</text>
{out}</svg>
"##
    )
}

fn panel(out: &mut String, y: &mut f64, rows: &[&Row]) {
    let floor = |row: &Row| row.floor.map_or(0.0, |(_, floor)| floor);
    let longest = rows
        .iter()
        .map(|row| row.added.max(floor(row)).max(target(row)))
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    for row in rows {
        let ratio = row.ratio().map_or(String::new(), |ratio| {
            format!(" ({ratio:.2} times the floor)")
        });
        let top = *y + 2.0;
        let mark = target(row) * scale;
        bar(
            out,
            *y,
            (&row.label(), "layer"),
            row.added,
            scale,
            mark,
            &ratio,
        );
        *y += LINE;
        if let Some((name, floor)) = row.floor {
            bar(out, *y, (name, "floor"), floor, scale, 0.0, "");
            *y += LINE;
        }
        let x = LEFT + mark;
        let _ = writeln!(
            out,
            r#"<line class="mark" x1="{x:.1}" x2="{x:.1}" y1="{top:.0}" y2="{:.0}"/>"#,
            top + LINE - 4.0,
        );
        *y += GAP;
    }
}

/// One bar; its figure stands past the bar and past the mark.
fn bar(
    out: &mut String,
    y: f64,
    (label, class): (&str, &str),
    time: f64,
    scale: f64,
    mark: f64,
    note: &str,
) {
    let faint = if class == "floor" {
        r#"class="faint""#
    } else {
        ""
    };
    let width = (time * scale).max(1.0);
    let end = format!(r#"text-anchor="end" {faint}"#);
    text(out, LEFT - 8.0, y + 12.0, &end, label);
    let _ = writeln!(
        out,
        r#"<rect class="{class}" x="{LEFT}" y="{:.0}" width="{width:.1}" height="12"/>"#,
        y + 2.0,
    );
    let time = format!("{:.2}{note}", time / 1000.0);
    text(out, LEFT + width.max(mark) + 6.0, y + 12.0, faint, &time);
}

fn text(out: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    let _ = writeln!(
        out,
        r#"<text x="{x:.0}" y="{y:.0}" {attributes}>{text}</text>"#
    );
}

/// What is to be reached, in nanoseconds.
fn target(row: &Row) -> f64 {
    match row.bound {
        Bound::Ratio(most) => row.floor.map_or(0.0, |(_, floor)| most * floor),
        Bound::Nanoseconds(most) => most,
    }
}

/// One algorithm stands for all where the number of tokens matters, and one number where
/// the algorithm does.
fn is_shown(row: &Row) -> bool {
    row.group != "seen before" || row.name == "EdDSA" || row.population == Some(1_000)
}
