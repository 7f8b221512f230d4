//! The comparison as a picture.

use std::fmt::Write as _;

use super::table::Row;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 270.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 64.0;
const LINE: f64 = 18.0;
const GAP: f64 = 12.0;

/// Bars of equal scale: what each layer adds, under it the floor.
pub(crate) fn draw(rows: &[Row]) -> String {
    // The populations in between, and what is the same for every algorithm, say nothing new.
    let shown: Vec<&Row> = rows.iter().filter(|row| row.bar().is_some()).collect();
    let longest = shown
        .iter()
        .map(|row| row.added.max(row.floor.map_or(0.0, |(_, floor)| floor)))
        .fold(0.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let mut bars = String::new();
    let mut y = TOP;
    for row in shown {
        let label = row.bar().unwrap_or_default();
        bar(&mut bars, y, &label, "layer", row.added * scale, row.added);
        y += LINE;
        if let Some((name, floor)) = row.floor {
            bar(&mut bars, y, name, "floor", floor * scale, floor);
            y += LINE;
        }
        y += GAP;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Work added to a request">
<style>.layer {{ fill: #2563a8 }} .floor {{ fill: #b3bac4 }} text {{ fill: #1f2430 }} .name {{ fill: #6b7280 }}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="26" font-size="16" font-weight="600">Work added to a request, in microseconds of CPU time</text>
<text x="16" y="46" class="name">Blue: what the layer adds to a bare service. Grey: the floor it cannot go below. Tokens of 900 bytes.</text>
{bars}</svg>
"##,
        height = y + 4.0,
    )
}

fn bar(out: &mut String, y: f64, label: &str, class: &str, width: f64, nanoseconds: f64) {
    let text_class = if class == "floor" {
        r#" class="name""#
    } else {
        ""
    };
    let baseline = y + 12.0;
    let _ = writeln!(
        out,
        r#"<text x="{:.0}" y="{baseline:.0}" text-anchor="end"{text_class}>{label}</text><rect class="{class}" x="{LEFT}" y="{:.0}" width="{:.1}" height="14"/><text x="{:.0}" y="{baseline:.0}"{text_class}>{:.2} µs</text>"#,
        LEFT - 8.0,
        y + 1.0,
        width.max(1.0),
        LEFT + width + 6.0,
        nanoseconds / 1000.0,
    );
}

impl Row {
    /// The label of its bar, if it has one.
    fn bar(&self) -> Option<String> {
        match (self.group, self.name, self.population) {
            ("seen before", "EdDSA", Some(1_000)) => {
                Some("any algorithm, token seen before".to_owned())
            }
            ("seen before", ..) => None,
            ("API key", _, population) if population != Some(1_000) => None,
            _ => Some(self.label()),
        }
    }
}
