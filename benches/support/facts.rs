//! Figures that stand by themselves.

/// One figure by itself.
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) limit: Limit,
}

/// What a figure is to be.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Most(f64),
    None,
}

impl Fact {
    fn missed(&self) -> bool {
        match self.limit {
            Limit::Most(most) => self.value > most,
            Limit::None => false,
        }
    }
}

/// Prints the figures, and whether a target was missed.
pub(crate) fn print(facts: &[Fact]) -> bool {
    println!();
    for fact in facts {
        let Fact {
            label, value, unit, ..
        } = fact;
        let verdict = if fact.missed() { "MISSED" } else { "ok" };
        let limit = match fact.limit {
            Limit::Most(most) => format!("at most {most} {unit}  {verdict}"),
            Limit::None => String::new(),
        };
        let decimals = usize::from(*unit == "x") + 1;
        println!("{label:<52} {value:>9.decimals$} {unit:<4} {limit}");
    }
    facts.iter().any(Fact::missed)
}
