//! The comparison as text.

/// One line of the comparison; times in nanoseconds per request.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// Cached tokens, or keys.
    pub(crate) population: Option<usize>,
    pub(crate) bare: f64,
    pub(crate) layer: f64,
    /// What the layer adds to the bare service.
    pub(crate) added: f64,
    /// What a middleware adds that does nothing but what it must.
    pub(crate) least: Option<f64>,
    /// What it cannot go below, and its cost.
    pub(crate) floor: Option<(&'static str, f64)>,
    pub(crate) bound: Bound,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Times the floor.
    Ratio(f64),
    Nanoseconds(f64),
}

impl Row {
    pub(crate) fn label(&self) -> String {
        let population = self.population.map(thousands).unwrap_or_default();
        match (self.group, self.name) {
            ("API key", "") => format!("API key, one of {population}"),
            ("API key", name) => format!("API key, {name} of {population}"),
            (group, name) if population.is_empty() => format!("{name}, {group}"),
            (group, name) => format!("{name}, {group}, {population} cached"),
        }
    }

    /// Times the floor.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.floor.map(|(_, floor)| self.added / floor)
    }

    /// What all its candidates took together.
    pub(crate) fn total(&self) -> f64 {
        self.bare + self.layer + self.floor.map_or(0.0, |(_, floor)| floor)
    }

    fn missed(&self) -> bool {
        match self.bound {
            Bound::Ratio(most) => self.ratio().is_some_and(|ratio| ratio > most),
            Bound::Nanoseconds(most) => self.added > most,
        }
    }

    fn target(&self) -> String {
        match self.bound {
            Bound::Ratio(most) => format!("{most:.2} x"),
            Bound::Nanoseconds(most) => format!("{:.2} us", most / 1000.0),
        }
    }
}

/// Prints the table, and whether a target was missed.
pub(crate) fn print(rows: &[Row]) -> bool {
    println!(
        "{:<40} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}  {:<8}",
        "CPU time in us", "bare", "layer", "added", "least", "floor", "ratio", "at most",
    );
    for row in rows {
        let floor = row.floor.map_or(String::new(), |(_, floor)| micros(floor));
        let ratio = row
            .ratio()
            .map_or(String::new(), |ratio| format!("{ratio:.3}"));
        println!(
            "{:<40} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}  {:<8} {}",
            row.label(),
            micros(row.bare),
            micros(row.layer),
            micros(row.added),
            row.least.map(micros).unwrap_or_default(),
            floor,
            ratio,
            row.target(),
            if row.missed() { "MISSED" } else { "ok" },
        );
    }
    rows.iter().any(Row::missed)
}

fn micros(nanoseconds: f64) -> String {
    format!("{:.3}", nanoseconds / 1000.0)
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
